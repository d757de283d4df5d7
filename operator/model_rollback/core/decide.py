"""From one observation of a policy to what is to be done: its status, what to announce, and whether to roll back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from model_rollback.api.conditions import Condition, condition, find_condition, merge_conditions, truncate
from model_rollback.api.reasons import Reason
from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1 import ModelDeploymentStatus
from model_rollback.api.v1alpha1.rollback_policy import RollbackPolicyStatus
from model_rollback.api.v1alpha1.rollback_record import Evidence, Sample
from model_rollback.api.v1alpha1.trigger import Trigger, TriggerStatus
from model_rollback.core.candidates import Candidate
from model_rollback.core.comparison import in_words, show_value
from model_rollback.core.gates import Observation, first_block
from model_rollback.core.measure import Verdict
from model_rollback.core.presets import Policy
from model_rollback.core.triggers import TriggerMemory, is_open, max_hold, waiting

_EVIDENCE_SAMPLES = 20
_EVIDENCE_NOTES = 10
_JUDGED = frozenset({"Healthy", "Pending", "Breached"})
_ANSWERED = frozenset({Reason.ROLLBACK_IN_PROGRESS, Reason.BREACH_CONSUMED, Reason.FORBIDDEN})
"""What blocks after a breach was answered; and what has an Event of its own."""
_UNSEEN = frozenset({"Error", "NoData", "Stale"})

Say = Callable[[str, bool | None, Reason, str], Condition]


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something to tell once: an Event and a log line."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Start:
    """Roll back now.

    Attributes:
        judged: the ModelDeployment's status on which that rests.
        good_until: after that the breach must be seen anew: its clock would have begun anew by then.
        observe_only: say so and write nothing.
    """

    candidate: Candidate
    reason: str
    evidence: tuple[Evidence, ...]
    judged: ModelDeploymentStatus
    good_until: datetime
    observe_only: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The status to write when it differs from the old one, and the effects.

    `look_again`: when time alone may change what blocks.
    """

    status: RollbackPolicyStatus
    announcements: tuple[Announcement, ...]
    start: Start | None
    look_again: datetime | None = None


def decide(observation: Observation, before: RollbackPolicyStatus, *, generation: int) -> Decision:
    """Deterministic; on the state after its own effects it adds none."""
    o = observation
    triggers = tuple(_trigger_status(name, memory, before) for name, memory in o.triggers.items())
    if o.policy is None:
        triggers = before.triggers  # a typo must not forget which breach was answered
    blocked = first_block(o)
    start = None if blocked is not None else _start(o, generation)
    said = _conditions(o, triggers, blocked is None, before, generation, start)
    if blocked is not None:
        said["Armed"] = condition(
            "Armed",
            status=False,
            reason=blocked.reason,
            message=blocked.message,
            at=o.now,
            generation=generation,
        )
    kept = [c for c in before.conditions if c.type != "Stalled" or "Stalled" in said]
    status = before.model_copy(
        update={
            "observed_generation": generation,
            "triggers": triggers,
            "conditions": merge_conditions(kept, said.values()),
        }
    )
    if start is not None and start.observe_only and _is_said(o, before, start):
        start = None
    until = blocked.until if blocked is not None else None
    return Decision(status, _announcements(o, before, status), start, until)


def _is_said(o: Observation, before: RollbackPolicyStatus, start: Start) -> bool:
    """Whether mode Observe has said so of this breach already."""
    known = {t.name for t in before.triggers if is_open(t) and t.episode == o.triggers[t.name].episode}
    said = _reason(before, "Breached") == Reason.WOULD_ROLL_BACK
    return said and any(e.trigger in known for e in start.evidence)


def _trigger_status(name: str, memory: TriggerMemory, before: RollbackPolicyStatus) -> TriggerStatus:
    """A new entry where the state changed; else the old one, so that an unchanged trigger costs no write."""
    old = next((t for t in before.triggers if t.name == name), None)
    # Two fields: so a restart tells a breach that is open without data from a clock that is held.
    breaching_since = memory.breaching_since if memory.open or memory.state == "Pending" else None
    new = TriggerStatus(
        name=name,
        state=memory.state,
        value=memory.value,
        observed_at=memory.observed_at,
        since=memory.since,
        breaching_since=breaching_since,
        pending_since=memory.breaching_since if breaching_since is None else None,
        consumed_by=memory.consumed_by,
        episode=memory.episode,
        message=memory.message[:1024],
    )
    return old if old is not None and _meaning(old) == _meaning(new) else new


def _meaning(status: TriggerStatus) -> tuple[object, ...]:
    """What makes two statuses of a trigger differ; the rest tells how it came to it."""
    times = (status.breaching_since is None, status.pending_since is None)
    return (status.state, status.consumed_by, status.episode, *times)


def _breached(o: Observation) -> list[tuple[Trigger, TriggerMemory]]:
    """Rollback triggers that are Breached at this very tick by a live measurement of the version that runs, and not
    yet answered."""
    if o.policy is None:
        return []
    pairs = [(t, o.triggers[t.name]) for t in o.policy.triggers if t.name in o.triggers]
    return [
        (t, m)
        for t, m in pairs
        if t.action == "Rollback"
        and m.state == "Breached"
        and not m.consumed_by
        and m.observed_at == o.now
        and m.episode == o.status.episode
        and m.measurement is not None
    ]


def _start(o: Observation, generation: int) -> Start | None:
    breached = _breached(o)
    if not breached or o.policy is None or len(breached) < o.policy.match.at_least or o.system is None:
        return None
    candidate = o.choice.candidate
    if candidate is None:
        return None
    return Start(
        candidate=candidate,
        reason=", ".join(_in_words(t, m, o.now) for t, m in breached)[:1024],
        evidence=tuple(_evidence(t, m, generation) for t, m in breached),
        judged=o.status,
        good_until=min(m.observed_at + max_hold(t, o.policy.interval) for t, m in breached),
        observe_only=o.policy.mode == "Observe",
    )


def _in_words(trigger: Trigger, memory: TriggerMemory, now: datetime) -> str:
    held = f" for {format_duration(now - (memory.breaching_since or now))}" if trigger.for_ else ""
    if not memory.value:
        return f"{trigger.name}: {memory.message}{held}"
    baseline = memory.measurement.baseline if memory.measurement is not None else ""
    return f"{trigger.name} {memory.value} {in_words(trigger.breach, baseline)}{held}"


def _evidence(trigger: Trigger, memory: TriggerMemory, generation: int) -> Evidence:
    measured = memory.measurement
    samples = measured.samples if measured is not None else ()
    return Evidence(
        trigger=trigger.name,
        query=trigger.query,
        operator=trigger.breach.operator,
        threshold=trigger.breach.threshold,
        value=memory.value,
        baseline=measured.baseline if measured is not None else "",
        observed_at=memory.observed_at,
        breaching_since=memory.breaching_since or memory.observed_at,
        samples=tuple(
            Sample(labels={k: v[:256] for k, v in list(s.labels.items())[:32]}, value=show_value(s.value))
            for s in samples[:_EVIDENCE_SAMPLES]
        ),
        notes=tuple(truncate(n) for n in measured.notes[:_EVIDENCE_NOTES]) if measured is not None else (),
        policy_generation=generation,
    )


def _conditions(
    o: Observation,
    triggers: tuple[TriggerStatus, ...],
    armed: bool,
    before: RollbackPolicyStatus,
    generation: int,
    start: Start | None,
) -> dict[str, Condition]:
    def say(type_: str, verdict: bool | None, reason: Reason, message: str) -> Condition:
        return condition(
            type_, status=verdict, reason=reason, message=message, at=o.now, generation=generation
        )

    said: dict[str, Condition] = {}
    if o.policy is None:
        said["Stalled"] = say("Stalled", True, Reason.INVALID_SPEC, o.problem)
        said["Ready"] = say("Ready", False, Reason.INVALID_SPEC, o.problem)
        return said
    said["Ready"] = say(
        "Ready", True, Reason.READY, f"evaluated: {', '.join(t.name for t in o.policy.triggers)}"[:1024]
    )
    if armed and o.refused:
        said["Armed"] = say("Armed", False, Reason.FORBIDDEN, f"a rollback could not be started: {o.refused}")
    elif armed and o.system is not None:
        target = o.choice.candidate
        name = target.version if target else "?"
        said["Armed"] = say("Armed", True, Reason.ARMED, f"a breach now would put {name} back")
    if not triggers:
        return said
    said["MetricsAvailable"] = _metrics_available(o, triggers, before, say)
    said["Breached"] = _breached_condition(o.policy, triggers, before, start, say)
    return said


def _metrics_available(
    o: Observation, triggers: tuple[TriggerStatus, ...], before: RollbackPolicyStatus, say: Say
) -> Condition:
    """False while a trigger cannot be measured, also where only its traffic is unknown; errors are named first.

    While a Rollback replaces the pods that are measured, a lack of data is no fault of the source: Unknown. How many
    others are blind is said when it begins, and not written anew whenever that number changes.
    """
    unknown = {n for n, m in o.triggers.items() if m.measurement is not None and m.measurement.blind}
    alone = {n for n, m in o.triggers.items() if m.measurement is not None and m.measurement.unrivalled}
    blind = [t for t in triggers if t.state in _UNSEEN and t.name not in alone]
    blind += [t for t in triggers if t.state in ("LowTraffic", "Settling") and t.name in unknown]
    if blind:
        first = next((t for t in blind if t.state == "Error"), blind[0])
        words = f"{first.name}: {first.message}"
        known = find_condition(before.conditions, "MetricsAvailable")
        if known is not None and known.status == "False" and known.message.startswith(words):
            return say("MetricsAvailable", False, Reason.METRICS_UNAVAILABLE, known.message)
        if (known is None or known.status != "False") and all(_is_replaced(o, t) for t in blind):
            return say("MetricsAvailable", None, Reason.NOT_JUDGED, words)
        others = o.blind_policies - 1
        if o.policy is not None and others > 0:
            who = "one other policy" if others == 1 else f"{others} other policies"
            words += f"; {who} on metricsSource {o.policy.metrics_source} cannot be measured either"
        return say("MetricsAvailable", False, Reason.METRICS_UNAVAILABLE, words)
    return say("MetricsAvailable", True, Reason.METRICS_AVAILABLE, "every trigger is measured")


def _is_replaced(o: Observation, trigger: TriggerStatus) -> bool:
    """Whether there is no data of it while a Rollback works on what it measures; an error is one of the source."""
    measured = o.triggers[trigger.name].measurement
    by_rollback = o.status.active_rollback or o.status.current_by
    failed = measured is not None and measured.verdict is Verdict.ERROR
    return trigger.state == "Settling" and bool(by_rollback) and not failed


def _breached_condition(
    policy: Policy,
    triggers: tuple[TriggerStatus, ...],
    before: RollbackPolicyStatus,
    start: Start | None,
    say: Say,
) -> Condition:
    breached = [t for t in triggers if t.state == "Breached"]
    would = policy.mode == "Observe" and (
        start is not None or _reason(before, "Breached") == Reason.WOULD_ROLL_BACK
    )
    if not breached:
        held = [t for t in triggers if is_open(t)]
        if held:
            unseen = held[0].state in _UNSEEN
            reason = Reason.METRICS_UNAVAILABLE if unseen else Reason.NOT_JUDGED
            reason = Reason.WOULD_ROLL_BACK if would else reason
            why = f"{held[0].state}, {held[0].message}"
            return say("Breached", None, reason, f"{held[0].name} is not judged now: {why}")
        unjudged = "; ".join(
            f"{t.name} is not judged now: {t.state}" for t in triggers if t.state not in _JUDGED
        )
        words = f"no trigger is breached; {unjudged}" if unjudged else "no trigger is breached"
        return say("Breached", False, Reason.ALL_HEALTHY, words)
    words = f"{breached[0].name}: {breached[0].message}{_why_not_alone(policy, breached)}"
    if would:
        return say("Breached", True, Reason.WOULD_ROLL_BACK, f"{words}; mode Observe writes nothing")
    return say("Breached", True, Reason.THRESHOLD_EXCEEDED, words)


def _why_not_alone(policy: Policy, breached: Sequence[TriggerStatus]) -> str:
    """Why these breaches by themselves start nothing, in words; empty when they may."""
    acting = {t.name for t in policy.triggers if t.action == "Rollback"}
    count = sum(t.name in acting for t in breached)
    if not count:
        return "; action Notify starts no rollback"
    if count < policy.match.at_least:
        return f"; {count} of the {policy.match.at_least} triggers that must be breached at once"
    return ""


def _reason(status: RollbackPolicyStatus, type_: str) -> str:
    found = find_condition(status.conditions, type_)
    return found.reason if found is not None else ""


def _announcements(
    o: Observation, before: RollbackPolicyStatus, after: RollbackPolicyStatus
) -> tuple[Announcement, ...]:
    said: list[Announcement] = []
    states = {t.name: t for t in before.triggers}
    for t in after.triggers:
        old = states.get(t.name)
        was_open = old is not None and is_open(old)
        if t.state == "Breached" and not (was_open and old is not None and old.episode == t.episode):
            said.append(Announcement(Reason.TRIGGER_BREACHED, f"{t.name}: {t.message}"))
        elif t.state == "Healthy" and was_open:
            said.append(Announcement(Reason.TRIGGER_RECOVERED, f"{t.name}: {t.message}"))
    now, then = _status(after, "MetricsAvailable"), _status(before, "MetricsAvailable")
    found = find_condition(after.conditions, "MetricsAvailable")
    if found is not None and now != then:
        if now == "False":
            said.append(Announcement(Reason.METRICS_UNAVAILABLE, found.message))
        elif then == "False":
            said.append(Announcement(Reason.METRICS_AVAILABLE, found.message))
    said += _gate_announcement(o, before, after)
    said += _spec_announcement(o, before)
    return tuple(said)


def _gate_announcement(
    o: Observation, before: RollbackPolicyStatus, after: RollbackPolicyStatus
) -> list[Announcement]:
    """That the fleet brake holds; and of a breach that nobody answers, which gate it is that blocks."""
    armed = find_condition(after.conditions, "Armed")
    if armed is None or armed.status == "True":
        return []
    news = armed.reason != _reason(before, "Armed")
    if armed.reason == Reason.FLEET_BRAKE:
        return [Announcement(Reason.FLEET_BRAKE, armed.message)] if news else []
    held = _unanswered(o, after.triggers)
    if armed.reason in _ANSWERED or not held or not (news or held != _unanswered(o, before.triggers)):
        return []
    words = f"{', '.join(held)}: breached, and no Rollback starts: {armed.reason}: {armed.message}"
    return [Announcement(Reason.ROLLBACK_BLOCKED, words)]


def _unanswered(o: Observation, triggers: Sequence[TriggerStatus]) -> list[str]:
    """The triggers that are Breached by what runs now and would start a Rollback, when they are enough of them."""
    if o.policy is None:
        return []
    breached = {
        t.name
        for t in triggers
        if t.state == "Breached" and not t.consumed_by and t.episode == o.status.episode
    }
    return waiting(o.policy.triggers, o.policy.match.at_least, breached)


def _spec_announcement(o: Observation, before: RollbackPolicyStatus) -> list[Announcement]:
    if o.policy is None and _status(before, "Stalled") != "True":
        return [Announcement(Reason.INVALID_SPEC, o.problem)]
    return []


def _status(status: RollbackPolicyStatus, type_: str) -> str:
    found = find_condition(status.conditions, type_)
    return found.status if found is not None else ""
