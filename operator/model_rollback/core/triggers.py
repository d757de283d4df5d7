"""From measurements to a trigger's state: the clock of `for`, `consecutive`, and holding.

Failures must come in a row; time that was not measured never counts as bad time, and never as good time either.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.rollback_record import Evidence
from model_rollback.api.v1alpha1.trigger import Trigger, TriggerState, TriggerStatus
from model_rollback.core.measure import Measurement, Verdict


@dataclass(frozen=True, slots=True)
class TriggerMemory:
    """All that is remembered of a trigger between two ticks.

    Attributes:
        state: as published.
        since: when `state` began.
        observed_at: the newest tick.
        clock: judged bad time of the running streak.
        streak: bad ticks with no healthy one between them.
        judged_at: the newest tick that was judged (bad or healthy).
        unbroken: whether the newest tick was bad, so that the time to the next bad one counts.
        sampled_at: the newest bad tick that rested on samples, and not on their absence.
        taken_at: when the samples were taken of the newest tick that rested on some and asked.
        breaching_since: first bad tick of the running streak or breach, or of one that a restart made forgotten.
        open: whether a breach is open: from Breached to Healthy, whatever could not be measured in between.
        consumed_by: the Rollback that this breach caused.
        episode: the ModelDeployment's episode all this belongs to.
    """

    state: TriggerState
    since: datetime
    observed_at: datetime
    value: str = ""
    message: str = ""
    measurement: Measurement | None = None
    clock: timedelta = timedelta(0)
    streak: int = 0
    judged_at: datetime | None = None
    unbroken: bool = False
    sampled_at: datetime | None = None
    taken_at: tuple[float, ...] = ()
    breaching_since: datetime | None = None
    open: bool = False
    consumed_by: str = ""
    episode: int = 0

    @property
    def clock_runs(self) -> bool:
        """Whether bad ticks were seen, and not enough of them yet."""
        return self.streak > 0 and not self.open


def max_hold(trigger: Trigger, interval: timedelta) -> timedelta:
    """How long the clock may be held."""
    return trigger.max_hold if trigger.max_hold is not None else max(5 * interval, timedelta(minutes=5))


_UNJUDGED: Final[Mapping[Verdict, TriggerState]] = {
    Verdict.NO_DATA: "NoData",
    Verdict.STALE: "Stale",
    Verdict.LOW_TRAFFIC: "LowTraffic",
    Verdict.ERROR: "Error",
}


def judge(trigger: Trigger, measurement: Measurement, *, breached: bool = False) -> Verdict:
    """The verdict after the policy's own words: BREACHING, HEALTHY, or one of the others for hold.

    `breached`: whether a breach is open, which `recoverAt` ends and not the threshold.
    """
    verdict = measurement.verdict
    if verdict in (Verdict.NO_DATA, Verdict.STALE) and trigger.on_no_data != "Hold":
        return Verdict.BREACHING if trigger.on_no_data == "Breach" else Verdict.HEALTHY
    if verdict is Verdict.ERROR and trigger.on_error == "Breach":
        return Verdict.BREACHING
    if verdict is Verdict.HEALTHY and breached and measurement.recovering:
        return Verdict.BREACHING
    return verdict


def advance(
    trigger: Trigger,
    memory: TriggerMemory | None,
    measurement: Measurement,
    *,
    now: datetime,
    interval: timedelta,
    episode: int = 0,
    settling: str = "",
    live: bool = True,
) -> TriggerMemory:
    """The memory after one more tick. A memory of another episode counts as none.

    `settling`: why nothing is judged at this tick, see `core.settling`; empty when it is. `live`: whether it may fire;
    in a replay of the past it may not.
    """
    if memory is None or memory.episode != episode:
        memory = TriggerMemory("Healthy", since=now, observed_at=now, episode=episode)
    if memory.observed_at > now:
        memory = _set_back(memory, now)
    hold = max_hold(trigger, interval)
    if memory.judged_at is not None and now - memory.judged_at > hold:
        # Nobody looked for too long: an unanswered breach must be seen for its whole `for` again.
        memory = _restart_clock(replace(memory, open=memory.consumed_by != ""))
    taken_at = measurement.taken_at if _rests_on_samples(measurement) else ()
    if settling:
        after = _settling(memory, measurement, settling)
    else:
        after = _judged(trigger, memory, measurement, taken_at, now, may_fire=live)
    return replace(
        after,
        measurement=measurement,
        taken_at=taken_at if _rests_on_samples(measurement) else after.taken_at,
        observed_at=now,
        since=memory.since if after.state == memory.state else now,
    )


def _judged(
    trigger: Trigger,
    memory: TriggerMemory,
    measurement: Measurement,
    taken_at: tuple[float, ...],
    now: datetime,
    *,
    may_fire: bool,
) -> TriggerMemory:
    """Held, passed over, bad or healthy. `taken_at`: when the samples were taken that it rests on."""
    verdict = judge(trigger, measurement, breached=memory.open)
    if verdict in _UNJUDGED:
        return replace(
            memory,
            state=_UNJUDGED[verdict],
            message=measurement.message,
            value=measurement.value,
            unbroken=False,
        )
    if memory.clock_runs and _is_repeated(memory, taken_at):
        return memory
    if verdict is Verdict.BREACHING:
        return _breaching(trigger, memory, measurement, now, may_fire=may_fire)
    return _healthy(memory, measurement, now)


def _rests_on_samples(measurement: Measurement) -> bool:
    return measurement.verdict in (Verdict.BREACHING, Verdict.HEALTHY)


def _is_repeated(memory: TriggerMemory, taken_at: tuple[float, ...]) -> bool:
    """Whether a tick rests on the same samples as the one before: clocks count distinct samples.

    Such a tick is passed over as if it had not come. Where the tick before did not ask when its samples were taken,
    those that are not newer than that tick were there already.
    """
    if not taken_at:
        return False
    if memory.taken_at:
        return taken_at == memory.taken_at
    return memory.sampled_at is not None and max(taken_at) <= memory.sampled_at.timestamp()


def _settling(memory: TriggerMemory, measurement: Measurement, why: str) -> TriggerMemory:
    """Measured, not judged: no clock runs, and a breach that is open stays so."""
    words = f"{why}; measured, not judged: {measurement.message}"
    return replace(_restart_clock(memory), state="Settling", message=words, value=measurement.value)


def _healthy(memory: TriggerMemory, measurement: Measurement, now: datetime) -> TriggerMemory:
    after = replace(
        _restart_clock(memory),
        state="Healthy",
        message=measurement.message,
        value=measurement.value,
        judged_at=now,
        open=False,
        consumed_by="",
    )
    return replace(after, breaching_since=None)


def _restart_clock(memory: TriggerMemory) -> TriggerMemory:
    """Forgets the streak; an open breach stays open."""
    return replace(
        memory,
        clock=timedelta(0),
        streak=0,
        unbroken=False,
        sampled_at=None,
        taken_at=(),
        judged_at=None,
        breaching_since=memory.breaching_since if memory.open else None,
    )


def _set_back(memory: TriggerMemory, now: datetime) -> TriggerMemory:
    """After the clock jumped back: nothing remembered lies in the future; an open breach stays open and answered."""
    since = memory.breaching_since
    restarted = _restart_clock(replace(memory, breaching_since=min(since, now) if since else None))
    return replace(restarted, since=min(memory.since, now), observed_at=now)


def _breaching(
    trigger: Trigger, memory: TriggerMemory, measurement: Measurement, now: datetime, *, may_fire: bool
) -> TriggerMemory:
    grown = now - memory.judged_at if memory.unbroken and memory.judged_at else timedelta(0)
    clock = memory.clock + grown
    streak = memory.streak + (memory.judged_at != now)
    enough = clock >= trigger.for_ and streak >= trigger.consecutive
    fired = memory.open or (enough and may_fire)
    words = measurement.recovering or measurement.message
    return replace(
        memory,
        state="Breached" if fired else "Pending",
        message=words if fired else f"{words}, {_progress(trigger, clock, streak)}",
        value=measurement.value,
        clock=clock,
        streak=streak,
        judged_at=now,
        sampled_at=now if _rests_on_samples(measurement) else memory.sampled_at,
        unbroken=True,
        breaching_since=(memory.breaching_since if memory.open or memory.streak else None) or now,
        open=fired,
    )


def _progress(trigger: Trigger, clock: timedelta, streak: int) -> str:
    parts = []
    if trigger.for_:
        parts.append(f"for {format_duration(clock)} of {format_duration(trigger.for_)}")
    if trigger.consecutive > 1:
        parts.append(f"{streak} of {trigger.consecutive} evaluations in a row")
    return " and ".join(parts)


def forget_clock(memory: TriggerMemory) -> TriggerMemory:
    """After the trigger was edited: what was measured by the old words counts no more, an open breach stays open."""
    return replace(_restart_clock(memory), measurement=None)


def is_open(status: TriggerStatus) -> bool:
    """Whether what is written tells of a breach that has begun and not ended."""
    return status.breaching_since is not None and (status.state != "Pending" or status.consumed_by != "")


def clock_began(status: TriggerStatus) -> datetime | None:
    """When the clock began that ran, or was held, as the status was written; None when there was none."""
    return None if is_open(status) else status.pending_since or status.breaching_since


def restore(status: TriggerStatus, observed_at: datetime) -> TriggerMemory:
    """The memory of a trigger after a restart: an open breach stays open, a running clock starts anew.

    When that clock began is kept until a tick is judged, so that it can still be rebuilt from history.
    """
    still_open = is_open(status)
    return TriggerMemory(
        state="Healthy" if status.state == "Pending" else status.state,
        since=status.since,
        observed_at=observed_at,
        value=status.value,
        message=status.message,
        breaching_since=status.breaching_since if still_open else clock_began(status),
        open=still_open,
        consumed_by=status.consumed_by,
        episode=status.episode,
    )


def waiting(triggers: Sequence[Trigger], at_least: int, breached: Collection[str]) -> list[str]:
    """Those that ask for a Rollback, of the triggers that are breached and unanswered, when they are enough of them."""
    found = [t.name for t in triggers if t.action == "Rollback" and t.name in breached]
    return found if len(found) >= at_least else []


def looks_back(trigger: Trigger, interval: timedelta) -> timedelta:
    """How far a process must look back to know whether a breach that it finds open has lasted without it: for as long
    as its clock takes, and as it may be held."""
    takes: timedelta = trigger.for_ + (trigger.consecutive + 1) * interval
    return max(takes, max_hold(trigger, interval) + 2 * interval)


def reopened(status: TriggerStatus, at: datetime) -> TriggerMemory:
    """The memory of a breach that is open and unanswered, as if it had been seen once more at `at`."""
    return replace(restore(status, at), judged_at=at)


def unconfirmed(status: TriggerStatus, at: datetime) -> TriggerMemory:
    """The memory of such a breach while nobody can tell whether it has lasted: it must be seen for its `for` again."""
    return replace(restore(status, at), open=False)


def consume(
    memories: Mapping[str, TriggerMemory], evidence: Sequence[Evidence], rollback: str
) -> dict[str, TriggerMemory]:
    """The memories after `rollback` answered the breaches in `evidence`, and every other that is open now: one
    incident is answered once.

    A breach that a crash made this process forget is open again, and answered; one that has ended meanwhile by a
    healthy measurement stays ended.
    """
    answered = {e.trigger: e for e in evidence}
    return {
        name: replace(
            memory,
            open=True,
            consumed_by=rollback,
            breaching_since=memory.breaching_since
            or (answered[name].breaching_since if name in answered else None),
        )
        if memory.open or (name in answered and (memory.judged_at is None or memory.state != "Healthy"))
        else memory
        for name, memory in memories.items()
    }


def consume_written(
    triggers: Sequence[TriggerStatus], evidence: Sequence[Evidence], rollback: str, *, episode: int
) -> tuple[TriggerStatus, ...]:
    """The same for what the policy's status says.

    A breach that was never written, because the process died in the tick that saw it, is written now: `episode` is
    the one that it belongs to.
    """
    answered = {e.trigger: e for e in evidence}

    def mark(status: TriggerStatus) -> TriggerStatus:
        found = answered.get(status.name)
        if found is None:
            return status.model_copy(update={"consumed_by": rollback}) if is_open(status) else status
        if status.state == "Healthy" and status.observed_at > found.observed_at:
            return status
        since = status.breaching_since or found.breaching_since
        changes = {
            "consumed_by": rollback,
            "breaching_since": since,
            "pending_since": None,
            "episode": episode,
        }
        return status.model_copy(update=changes)

    written = {t.name for t in triggers}
    missing = [_as_written(e, rollback, episode) for e in evidence if e.trigger not in written]
    return (*(mark(t) for t in triggers), *missing)


def _as_written(evidence: Evidence, rollback: str, episode: int) -> TriggerStatus:
    return TriggerStatus(
        name=evidence.trigger,
        state="Breached",
        value=evidence.value,
        observed_at=evidence.observed_at,
        since=evidence.observed_at,
        breaching_since=evidence.breaching_since,
        consumed_by=rollback,
        episode=episode,
    )
