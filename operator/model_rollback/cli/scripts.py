"""Policy tests as they are played: read from files, with their policy, and checked for what does not fit together."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1 import ModelDeploymentSpec
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.cli.documents import STDIN, Document, Step, UnusableError, read
from model_rollback.cli.findings import Remark, Severity, closest, explain
from model_rollback.cli.notation import Mark
from model_rollback.cli.policies import find_policy, unusable
from model_rollback.cli.policytest import Answer, PolicyTest
from model_rollback.core.presets import Policy, resolve_policy


@dataclass(frozen=True, slots=True)
class Script:
    """A test that can be played: everything is read, and fits together."""

    document: Document
    test: PolicyTest
    policy: Policy
    policy_name: str
    system: ModelDeploymentSpec | None

    @property
    def interval(self) -> timedelta:
        """Time between two steps."""
        interval: timedelta = self.test.interval or self.policy.interval
        return interval

    @property
    def steps(self) -> int:
        """To the end of the longest series, and to the last expectation."""
        series = [
            len(s)
            for a in self.test.answers
            for s in (a.values, a.failures, a.traffic, a.baseline)
            if s is not None
        ]
        expected = [int(e.at // self.interval) + 1 for e in self.test.expect if e.at is not None]
        return max([1, *series, *expected])


def load(file: str) -> list[Script]:
    """The tests of one file; one for each YAML document.

    Raises:
        UnusableError: something in it cannot be used; the message has a line for each such thing.
    """
    documents = read(file)
    if not documents:
        raise UnusableError(f"{file}: there is no test in it")
    return [_script(document) for document in documents]


def _documents(document: Document, test: PolicyTest) -> list[Document]:
    """The file that `policy` names, or what stands there."""
    if not isinstance(test.policy, str):
        return [document.child("policy")]
    folder = Path() if document.file == STDIN else Path(document.file).parent
    return read(str(folder / test.policy))


def _script(document: Document) -> Script:
    try:
        test = PolicyTest.model_validate(document.data)
    except ValidationError as error:
        raise unusable(document, explain(error, PolicyTest)) from error
    where = f"{document.file}:{document.position(('policy',)).line}"
    policy, system = find_policy(_documents(document, test), where)
    script = Script(
        document,
        test,
        resolve_policy(policy.spec),
        policy.metadata.name,
        system.spec if system is not None else None,
    )
    problems = list(_problems(script))
    if problems:
        raise unusable(document, iter(problems))
    return script


def _problems(script: Script) -> Iterator[Remark]:
    """What does not fit together. The rest of the file is valid."""
    triggers = {t.name: t for t in script.policy.triggers}
    for index, answer in enumerate(script.test.answers):
        trigger = triggers.get(answer.trigger)
        if trigger is None:
            yield _unknown_trigger(("answers", index, "trigger"), answer.trigger, list(triggers))
        else:
            yield from _answer_problems(("answers", index), answer, trigger)
    for index, expected in enumerate(script.test.expect):
        if expected.trigger is not None and expected.trigger not in triggers:
            yield _unknown_trigger(("expect", index, "trigger"), expected.trigger, list(triggers))
        if expected.at is not None and expected.at % script.interval:
            every, before = format_duration(script.interval), expected.at - expected.at % script.interval
            yield Remark(
                Severity.ERROR,
                ("expect", index, "at"),
                f"there is no step at {format_duration(expected.at)}; there is one every {every}",
                f"the nearest are {format_duration(before)} and {format_duration(before + script.interval)}",
            )
    yield from _twice(script.test.answers)


def _unknown_trigger(path: tuple[Step, ...], name: str, known: list[str]) -> Remark:
    mend = closest(name, known) or f"it has: {', '.join(known)}"
    return Remark(Severity.ERROR, path, f"the policy has no trigger {name!r}", mend)


def _answer_problems(path: tuple[Step, ...], answer: Answer, trigger: Trigger) -> Iterator[Remark]:
    def problem(field: str, message: str, mend: str) -> Remark:
        return Remark(Severity.ERROR, (*path, field), f"{message} trigger {trigger.name!r}", mend)

    if answer.traffic is not None and trigger.traffic is None:
        yield problem(
            "traffic",
            "no traffic is asked for by",
            "take it away, or give the trigger traffic: {query: …, atLeast: …}",
        )
    if answer.baseline is not None and trigger.breach.baseline is None:
        yield problem(
            "baseline",
            "nothing is compared with a baseline by",
            "take it away; breach: {operator: DropsBy, …} has one",
        )
    if Mark.OLD in (answer.values or ()) and trigger.max_sample_age is None:
        yield problem(
            "values",
            "without maxSampleAge no sample is old to",
            "write the value or _, or give it maxSampleAge: 2m",
        )


def _twice(answers: list[Answer]) -> Iterator[Remark]:
    """The same series, or the failures of one trigger, in two entries."""
    seen: set[tuple[str, str, str]] = set()
    for index, answer in enumerate(answers):
        for what in ("values", "traffic", "baseline", "failures"):
            given = getattr(answer, what)
            labels = "" if what == "failures" else repr(sorted((answer.series or {}).items()))
            if given is not None and (answer.trigger, what, labels) in seen:
                yield Remark(
                    Severity.ERROR,
                    ("answers", index, what),
                    f"trigger {answer.trigger!r} has {what} for the same series already",
                    "write one entry for each series",
                )
            if given is not None:
                seen.add((answer.trigger, what, labels))
