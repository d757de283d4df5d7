"""Policy tests as they are played: read from files, with their policy, and checked for what does not fit together."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1 import (
    ModelDeployment,
    ModelDeploymentSpec,
    RollbackPolicy,
)
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.cli.documents import STDIN, Document, Step, UnusableError, read, show_path
from model_rollback.cli.findings import Remark, Severity, closest, explain
from model_rollback.cli.linting import measurement_problems
from model_rollback.cli.notation import Mark
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
            len(s) for a in self.test.answers for s in (a.values, a.failures, a.traffic) if s is not None
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


def _script(document: Document) -> Script:
    try:
        test = PolicyTest.model_validate(document.data)
    except ValidationError as error:
        raise _unusable(document, explain(error, PolicyTest)) from error
    policy, system = _load_policy(document, test)
    script = Script(
        document,
        test,
        resolve_policy(policy.spec),
        policy.metadata.name,
        system.spec if system is not None else None,
    )
    problems = list(_problems(script))
    if problems:
        raise _unusable(document, iter(problems))
    return script


def _unusable(document: Document, remarks: Iterator[Remark]) -> UnusableError:
    lines = []
    for remark in remarks:
        position = document.position(remark.path)
        mend = f" ({remark.mend})" if remark.mend else ""
        field = f"{show_path(remark.path)}: " if remark.path else ""
        lines.append(f"{document.file}:{position.line}:{position.column}: {field}{remark.message}{mend}")
    return UnusableError("\n".join(lines))


def _load_policy(document: Document, test: PolicyTest) -> tuple[RollbackPolicy, ModelDeployment | None]:
    where = f"{document.file}:{document.position(('policy',)).line}"
    if isinstance(test.policy, str):
        folder = Path() if document.file == STDIN else Path(document.file).parent
        documents = read(str(folder / test.policy))
    else:
        documents = [document.child("policy")]
    policies = [d for d in documents if _kind(d) == "RollbackPolicy"]
    if len(policies) != 1:
        raise UnusableError(
            f"{where}: policy must name exactly one RollbackPolicy, this names {len(policies)}"
        )
    policy = _validated(policies[0], RollbackPolicy)
    problems = list(measurement_problems(policy, policies[0].data))
    if problems:
        raise _unusable(policies[0], iter(problems))
    wanted = policy.spec.model_deployment_ref.name
    for candidate in documents:
        if _kind(candidate) == "ModelDeployment":
            system = _validated(candidate, ModelDeployment)
            if system.metadata.name == wanted:
                return policy, system
    return policy, None


def _kind(document: Document) -> str:
    return str(document.data.get("kind", "")) if isinstance(document.data, dict) else ""


M = TypeVar("M", RollbackPolicy, ModelDeployment)


def _validated(document: Document, model: type[M]) -> M:
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise _unusable(document, explain(error, model)) from error


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
    if answer.traffic is not None and getattr(trigger, "traffic", None) is None:
        yield Remark(
            Severity.ERROR,
            (*path, "traffic"),
            f"trigger {trigger.name!r} does not ask for traffic",
            "take this away, or give the trigger traffic: {query: …, atLeast: …}",
        )
    if Mark.OLD in (answer.values or ()) and getattr(trigger, "max_sample_age", None) is None:
        yield Remark(
            Severity.ERROR,
            (*path, "values"),
            f"no sample is old to trigger {trigger.name!r}: it has no maxSampleAge",
            "write the value or _, or give the trigger maxSampleAge: 2m",
        )


def _twice(answers: list[Answer]) -> Iterator[Remark]:
    """The same series, or the failures of one trigger, in two entries."""
    seen: set[tuple[str, str, str]] = set()
    for index, answer in enumerate(answers):
        for what, given in (
            ("values", answer.values),
            ("traffic", answer.traffic),
            ("failures", answer.failures),
        ):
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
