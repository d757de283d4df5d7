"""`kubectl rollback test`: plays policy tests and compares what came with what was expected."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from model_rollback.api.types import format_duration
from model_rollback.cli.answering import Answering
from model_rollback.cli.policytest import Expectation
from model_rollback.cli.scripts import Script
from model_rollback.cli.simulation import Simulation, Tick
from model_rollback.cli.stage import CURRENT, set_stage
from model_rollback.core.measure import Verdict
from model_rollback.core.triggers import TriggerMemory


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what came instead; `problem` is empty when it holds.

    Attributes:
        wanted: what was expected, `key: value` for each line of a diff. got: what came.
    """

    expectation: Expectation
    line: int
    title: str
    wanted: tuple[str, ...]
    got: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.wanted == self.got


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that changed at a step, for people who ask why: `2m  accuracy: Pending (0.81 < 0.90, …)`."""

    at: timedelta
    what: str


@dataclass(frozen=True, slots=True)
class Played:
    """One test with all its checks."""

    script: Script
    ticks: tuple[Tick, ...]
    checks: tuple[Check, ...]
    moments: tuple[Moment, ...]

    @property
    def name(self) -> str:
        """How the report calls it."""
        return self.script.test.name or f"policy {self.script.policy_name}"

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return all(c.passed for c in self.checks)

    def as_json(self) -> dict[str, Any]:
        """For `-o json`."""
        return {
            "file": self.script.document.file,
            "line": self.script.document.position().line,
            "name": self.name,
            "policy": self.script.policy_name,
            "passed": self.passed,
            "expectations": [
                {"line": c.line, "expectation": c.title, "passed": c.passed, "wanted": c.wanted, "got": c.got}
                for c in self.checks
            ],
            "timeline": [{"at": format_duration(m.at), "what": m.what} for m in self.moments],
        }


def play(script: Script) -> Played:
    """Plays every step, then checks every expectation."""
    given = script.test.versions
    stage = set_stage(
        script.policy,
        script.system,
        now=script.test.start,
        current=given.current if given is not None else CURRENT,
        verified=given.verified if given is not None else None,
        quarantined=given.quarantined if given is not None else (),
    )
    simulation = Simulation(script.policy, stage, script.interval, reverts=True)
    answering = Answering(script)
    ticks = []
    for step in range(script.steps):
        now = script.test.start + step * script.interval
        ticks.append(simulation.tick(now, answering.at(step, now, simulation.questions(now))))
    checks = tuple(
        _check(script, ticks, index, expected) for index, expected in enumerate(script.test.expect)
    )
    return Played(script, tuple(ticks), checks, tuple(_moments(script, ticks)))


def reason_of(memory: TriggerMemory) -> str:
    """Why a trigger is in its state: the threshold, or what kept it from being measured."""
    verdict = memory.measurement.verdict if memory.measurement is not None else Verdict.NO_DATA
    names = {Verdict.BREACHING: "ThresholdExceeded", Verdict.HEALTHY: "WithinThreshold"}
    return names.get(verdict, verdict.value)


def _check(script: Script, ticks: Sequence[Tick], index: int, expected: Expectation) -> Check:
    line = script.document.position(("expect", index)).line
    if expected.at is None:
        return Check(expected, line, "never: rollback", ("no rollback",), _no_rollback(script, ticks))
    step = expected.at // script.interval
    tick, at = ticks[step], format_duration(expected.at)
    if expected.trigger is not None:
        memory = tick.triggers[expected.trigger]
        wanted, got = [f"state: {expected.state}"], [f"state: {memory.state}"]
        if expected.reason is not None:
            wanted.append(f"reason: {expected.reason}")
            got.append(f"reason: {reason_of(memory)}")
        return Check(expected, line, f"at {at}, trigger {expected.trigger}", tuple(wanted), tuple(got))
    if expected.blocked is not None:
        got_blocked = f"blocked: {tick.blocked}" if tick.blocked else "not blocked"
        return Check(expected, line, f"at {at}, blocked", (f"blocked: {expected.blocked}",), (got_blocked,))
    return _check_rollback(script, ticks, step, expected, line)


def _check_rollback(
    script: Script, ticks: Sequence[Tick], step: int, expected: Expectation, line: int
) -> Check:
    """A rollback starts at this step, and none before but those that are expected too."""
    to = expected.rollback.to if expected.rollback is not None else None
    title = f"at {_at(script, step)}, rollback{f' to {to}' if to else ''}"
    here = ticks[step].start
    reached = here.candidate.version if here is not None else ""
    wanted = (f"rollback at {_at(script, step)} to {to or reached or 'any version'}",)
    elsewhere = {
        e.at // script.interval for e in script.test.expect if e.rollback is not None and e.at is not None
    }
    starts = [
        i for i, tick in enumerate(ticks) if tick.start is not None and (i == step or i not in elsewhere)
    ]
    early = [i for i in starts if i < step]
    shown = early or ([step] if here is not None else starts[:1])
    got = tuple(f"rollback at {_at(script, i)} to {_to(ticks[i])}" for i in shown) or ("no rollback",)
    return Check(expected, line, title, wanted, got)


def _no_rollback(script: Script, ticks: Sequence[Tick]) -> tuple[str, ...]:
    starts = [i for i, tick in enumerate(ticks) if tick.start is not None]
    return tuple(f"rollback at {_at(script, i)} to {_to(ticks[i])}" for i in starts) or ("no rollback",)


def _to(tick: Tick) -> str:
    return tick.start.candidate.version if tick.start is not None else ""


def _at(script: Script, step: int) -> str:
    return format_duration(step * script.interval)


def _moments(script: Script, ticks: Sequence[Tick]) -> list[Moment]:
    """The changes, in the words of the operator."""
    moments: list[Moment] = []
    states: dict[str, str] = {}
    blocked = ""
    for step, tick in enumerate(ticks):
        at = step * script.interval
        for name, memory in tick.triggers.items():
            if states.get(name) != memory.state:
                said = f" ({memory.message})" if memory.message else ""
                moments.append(Moment(at, f"{name}: {memory.state}{said}"))
            states[name] = memory.state
        if tick.blocked != blocked:
            words = f"blocked: {tick.blocked} ({tick.why_blocked})" if tick.blocked else "no longer blocked"
            moments.append(Moment(at, words))
        blocked = tick.blocked
        if tick.start is not None:
            would = "would start" if tick.start.observe_only else "starts"
            moments.append(Moment(at, f"rollback to {_to(tick)} {would}: {tick.start.reason}"))
    return moments
