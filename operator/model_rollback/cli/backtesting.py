"""`kubectl rollback backtest`: replays what a Prometheus remembers through the operator's core.

History shows what happened without the policy: a rollback that would have started changes nothing in it. So each
breach is told once, and cooldown and budget count as if every rollback had succeeded at once.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from model_rollback.api.types import format_duration, format_time
from model_rollback.api.v1alpha1 import ModelDeploymentSpec
from model_rollback.cli.history import Window, replay
from model_rollback.cli.simulation import Simulation, Tick
from model_rollback.cli.stage import set_stage
from model_rollback.core.presets import Policy
from model_rollback.core.triggers import TriggerMemory
from model_rollback.ports import MetricsSource

MEASURED = ("Healthy", "Pending", "Breached")


@dataclass(slots=True)
class Fire:
    """One rollback that would have started.

    Attributes:
        first_bad: the first bad evaluation of the breach.
        recovered_at: when its triggers were healthy again in the history; None: not before the end.
    """

    at: datetime
    reason: str
    triggers: tuple[str, ...]
    first_bad: datetime
    recovered_at: datetime | None = None

    @property
    def delay(self) -> timedelta:
        """From the first bad evaluation to the rollback."""
        return self.at - self.first_bad


@dataclass(frozen=True, slots=True)
class Held:
    """A breach that a gate would have kept from starting a rollback, told once for each gate."""

    at: datetime
    triggers: tuple[str, ...]
    gate: str
    why: str


@dataclass(slots=True)
class Course:
    """One trigger over the whole window.

    Attributes:
        states: evaluations in each state.
        values: the deciding values by time; evaluations without one are left out.
        changes: when which state began.
        near_misses: bad streaks that ended before they fired; longest_miss: the longest clock among them.
    """

    states: Counter[str] = field(default_factory=Counter)
    values: list[tuple[datetime, float]] = field(default_factory=list)
    changes: list[tuple[datetime, str]] = field(default_factory=list)
    near_misses: int = 0
    longest_miss: timedelta = timedelta(0)
    _pending: timedelta | None = None

    @property
    def measured_from(self) -> datetime | None:
        """The first evaluation that gave a value: before it, there is no history."""
        return next((at for at, state in self.changes if state in MEASURED), None)

    def note(self, at: datetime, memory: TriggerMemory) -> None:
        """One more evaluation."""
        self.states[memory.state] += 1
        if not self.changes or self.changes[-1][1] != memory.state:
            self.changes.append((at, memory.state))
        value = _number(memory.value)
        if value is not None:
            self.values.append((at, value))
        if memory.state == "Pending":
            self._pending = memory.clock
        elif memory.state in ("Healthy", "Breached"):
            if memory.state == "Healthy" and self._pending is not None:
                self.near_misses += 1
                self.longest_miss = max(self.longest_miss, self._pending)
            self._pending = None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(slots=True)
class Backtest:
    """What the policy would have done."""

    policy: Policy
    window: Window
    fires: list[Fire] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    courses: dict[str, Course] = field(default_factory=dict)

    def note(self, tick: Tick) -> None:
        """One more evaluation of all triggers."""
        for name, memory in tick.triggers.items():
            self.courses.setdefault(name, Course()).note(tick.at, memory)
        for fire in self.fires:
            if fire.recovered_at is None and not any(tick.triggers[name].open for name in fire.triggers):
                fire.recovered_at = tick.at
        open_now = tuple(n for n, m in tick.triggers.items() if m.state == "Breached" and not m.consumed_by)
        if tick.start is not None:
            evidence = tick.start.evidence
            names = tuple(e.trigger for e in evidence)
            self.fires.append(
                Fire(tick.at, tick.start.reason, names, min(e.breaching_since for e in evidence))
            )
        elif open_now and tick.blocked:
            new = Held(tick.at, open_now, tick.blocked, tick.why_blocked)
            last = self.held[-1] if self.held else None
            if last is None or (last.triggers, last.gate, last.why) != (new.triggers, new.gate, new.why):
                self.held.append(new)

    def as_json(self) -> dict[str, Any]:
        """For `-o json`."""
        return {
            "since": format_time(self.window.first),
            "until": format_time(self.window.last),
            "step": format_duration(self.window.step),
            "evaluations": self.window.steps,
            "rollbacks": [
                {
                    "at": format_time(f.at),
                    "reason": f.reason,
                    "triggers": list(f.triggers),
                    "firstBadAt": format_time(f.first_bad),
                    "afterFirstBad": format_duration(f.delay),
                    "recoveredAt": format_time(f.recovered_at) if f.recovered_at is not None else None,
                }
                for f in self.fires
            ],
            "blocked": [
                {"at": format_time(h.at), "triggers": list(h.triggers), "gate": h.gate, "message": h.why}
                for h in self.held
            ],
            "triggers": {name: _course_as_json(course) for name, course in self.courses.items()},
        }


def _course_as_json(course: Course) -> dict[str, Any]:
    return {
        "evaluations": dict(course.states),
        "measuredFrom": format_time(course.measured_from) if course.measured_from is not None else None,
        "nearMisses": course.near_misses,
        "longestNearMiss": format_duration(course.longest_miss),
    }


async def backtest(
    policy: Policy,
    system: ModelDeploymentSpec | None,
    source: MetricsSource,
    window: Window,
    progress: Callable[[int], None],
    *,
    target_seen: datetime | None = None,
) -> Backtest:
    """Replays the window, in whatever mode the policy is.

    Args:
        target_seen: when the version that would be put back was last live, for `baseline: {version: Target}`.
            Default: when the window begins.

    Raises:
        MetricsError: the source gave no answer that may be believed.
    """
    policy = policy.model_copy(update={"mode": "Enforce"})
    stage = set_stage(policy, system, now=window.first, replaced_at=target_seen)
    simulation = Simulation(policy, stage, window.step, reverts=False)
    result = Backtest(policy, window)
    questions = [question for asked in simulation.questions(window.first).values() for question in asked]
    async for moment, answers in replay(source, questions, window, progress):
        result.note(simulation.tick(moment, {t.name: answers for t in policy.triggers}))
    return result
