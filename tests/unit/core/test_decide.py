"""What a decision says and starts: transitions are told once, idle costs nothing, only a live breach starts."""

from dataclasses import replace

import pytest

from model_rollback.api.conditions import find_condition
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_policy import RollbackPolicyStatus
from model_rollback.core.decide import decide
from model_rollback.core.measure import Measurement, Verdict
from model_rollback.core.triggers import TriggerMemory, consume
from tests.unit.core.builders import (
    ERROR,
    NO_DATA,
    NOW,
    answer,
    at,
    breached,
    healthy,
    make_policy,
    make_status,
    make_trigger,
    measure_from,
    observe,
    recorded,
)

EMPTY = RollbackPolicyStatus()
LITTLE = Measurement(Verdict.LOW_TRAFFIC, "", "traffic of 1 is below 5: not judged")
PENDING = TriggerMemory("Pending", NOW, NOW, "0.81", "0.81 < 0.90, for 15s of 1m", breaching_since=NOW)
UNMEASURED = TriggerMemory("NoData", NOW, NOW, message="the query returns no series", measurement=NO_DATA)
FAILING = TriggerMemory("Error", NOW, NOW, message="could not measure (timeout): no answer")
BLIND_BREACH = breached(state="NoData", value="", message="the query returns no series")
SETTLING_BREACH = breached(state="Settling", message="r1 is at work; measured, not judged: 0.81 < 0.90")
MEMORIES = {
    "new": None,
    "healthy": healthy(),
    "pending": PENDING,
    "breached": breached(),
    "unmeasured": UNMEASURED,
    "failing": FAILING,
    "breached and unmeasured": BLIND_BREACH,
    "breached and settling": SETTLING_BREACH,
}


def decided(memory, before=EMPTY, generation=1, **fields):
    triggers = {} if memory is None else {"accuracy": memory}
    return decide(observe(triggers=triggers, **fields), before, generation=generation)


def told(decision):
    return [a.reason for a in decision.announcements]


def said(decision, type_):
    found = find_condition(decision.status.conditions, type_)
    return (found.status, found.reason) if found is not None else None


TOLD = [
    ("new", "healthy", []),
    ("new", "breached", [Reason.TRIGGER_BREACHED]),
    ("healthy", "pending", []),
    ("healthy", "breached", [Reason.TRIGGER_BREACHED]),
    ("pending", "breached", [Reason.TRIGGER_BREACHED]),
    ("pending", "healthy", []),
    ("breached", "healthy", [Reason.TRIGGER_RECOVERED]),
    ("healthy", "unmeasured", [Reason.METRICS_UNAVAILABLE]),
    ("new", "failing", [Reason.METRICS_UNAVAILABLE]),
    ("unmeasured", "failing", []),
    ("unmeasured", "healthy", [Reason.METRICS_AVAILABLE]),
    ("failing", "breached", [Reason.TRIGGER_BREACHED, Reason.METRICS_AVAILABLE]),
    ("breached", "breached and unmeasured", [Reason.METRICS_UNAVAILABLE]),
    ("breached and unmeasured", "breached", [Reason.METRICS_AVAILABLE]),
    ("breached and unmeasured", "healthy", [Reason.TRIGGER_RECOVERED, Reason.METRICS_AVAILABLE]),
]


@pytest.mark.parametrize(("before", "after", "events"), TOLD, ids=[f"{a} to {b}" for a, b, _ in TOLD])
def test_a_transition_is_told_and_told_once(before, after, events):
    first = decided(MEMORIES[before])
    second = decided(MEMORIES[after], first.status)
    third = decided(MEMORIES[after], second.status)

    assert told(second) == events
    assert told(third) == []


def test_a_breach_of_the_next_version_is_told_again():
    first = decided(breached())

    second = decided(breached(episode=8), first.status, status=make_status(episode=8))

    assert told(second) == [Reason.TRIGGER_BREACHED]


def test_a_breach_that_a_gate_keeps_from_its_rollback_is_told_once_for_each_gate():
    frozen = make_status(history=(recorded("v12", safe="Unverified"),))
    nothing_to_go_to = decided(breached(), status=frozen)
    again = decided(breached(), nothing_to_go_to.status, status=frozen)
    suspended = decided(breached(), again.status, status=frozen, policy=make_policy(mode="Suspended"))

    assert told(nothing_to_go_to) == [Reason.TRIGGER_BREACHED, Reason.ROLLBACK_BLOCKED]
    assert nothing_to_go_to.announcements[1].message.startswith(
        "accuracy: breached, and no Rollback starts: NoSafeTarget: "
    )
    assert (told(again), told(suspended)) == ([], [Reason.ROLLBACK_BLOCKED])


@pytest.mark.parametrize(
    ("memory", "fields"),
    [
        (healthy(), {"policy": make_policy(mode="Suspended")}),
        (breached(consumed_by="recommender-1a2b3c4d5e"), {}),
        (breached(), {"status": make_status(active_rollback="recommender-1a2b3c4d5e")}),
        (breached(), {"policy": make_policy(make_trigger(action="Notify")), "status": make_status()}),
    ],
    ids=["no breach", "answered", "being answered", "it only notifies"],
)
def test_a_gate_that_keeps_no_rollback_from_starting_is_not_told(memory, fields):
    assert Reason.ROLLBACK_BLOCKED not in told(decided(memory, **fields))


CONDITIONS = {
    "new": (None, None),
    "healthy": (("True", "MetricsAvailable"), ("False", "AllHealthy")),
    "pending": (("True", "MetricsAvailable"), ("False", "AllHealthy")),
    "breached": (("True", "MetricsAvailable"), ("True", "ThresholdExceeded")),
    "unmeasured": (("False", "MetricsUnavailable"), ("False", "AllHealthy")),
    "failing": (("False", "MetricsUnavailable"), ("False", "AllHealthy")),
    "breached and unmeasured": (("False", "MetricsUnavailable"), ("Unknown", "MetricsUnavailable")),
    "breached and settling": (("True", "MetricsAvailable"), ("Unknown", "NotJudged")),
}


@pytest.mark.parametrize(
    ("name", "says"), [("healthy", ""), ("unmeasured", "; accuracy is not judged now: NoData")]
)
def test_what_is_not_judged_is_not_passed_over_as_healthy(name, says):
    found = find_condition(decided(MEMORIES[name]).status.conditions, "Breached")

    assert found is not None
    assert found.message == f"no trigger is breached{says}"


@pytest.mark.parametrize("name", MEMORIES)
def test_what_the_conditions_say(name):
    decision = decided(MEMORIES[name])

    assert (said(decision, "MetricsAvailable"), said(decision, "Breached")) == CONDITIONS[name]
    assert said(decision, "Ready") == ("True", "Ready")
    assert said(decision, "Armed") == ("True", "Armed")


@pytest.mark.parametrize("name", MEMORIES)
def test_later_ticks_of_the_same_state_change_nothing(name):
    first = decided(MEMORIES[name])
    memory = MEMORIES[name]

    for tick in range(1, 4):
        later = replace(memory, observed_at=at(15 * tick), value="0.8") if memory is not None else None
        decision = decided(later, first.status, now=at(15 * tick))
        assert decision.status == first.status
        assert decision.announcements == ()


def test_a_breach_starts_a_rollback_with_its_evidence():
    trigger = make_trigger(**{"for": "2m"})
    memory = breached(
        measurement=measure_from(trigger, answer(0.81, model="recommender")),
        breaching_since=at(-120),
        value="0.81",
    )

    start = decided(memory, policy=make_policy(trigger), generation=4).start

    assert start is not None
    assert (start.candidate.version, start.observe_only) == ("v12", False)
    assert start.reason == "accuracy 0.81 < 0.90 for 2m"
    (seen,) = start.evidence
    assert (seen.trigger, seen.query, seen.operator, seen.threshold) == (
        "accuracy",
        trigger.query,
        "LessThan",
        "0.90",
    )
    assert (seen.value, seen.observed_at, seen.breaching_since, seen.policy_generation) == (
        "0.81",
        NOW,
        at(-120),
        4,
    )
    assert [(s.labels["model"], s.value) for s in seen.samples] == [("recommender", "0.81")]


def test_the_evidence_is_bounded():
    many = measure_from(make_trigger(), answer(*[0.5] * 500, pod="x" * 1000))

    start = decided(breached(measurement=many)).start

    assert start is not None
    (seen,) = start.evidence
    assert len(seen.samples) == 20
    assert {len(s.labels["pod"]) for s in seen.samples} == {256}


@pytest.mark.parametrize(
    "memory",
    [
        healthy(),
        PENDING,
        UNMEASURED,
        FAILING,
        BLIND_BREACH,
        breached(consumed_by="recommender-1a2b3c4d5e"),
        breached(observed_at=at(-15)),
        breached(measurement=None),
        breached(episode=6),
    ],
    ids=[
        "healthy",
        "pending",
        "no data",
        "an error",
        "a breach that is not measured now",
        "a breach that had its rollback",
        "a breach seen at an earlier tick",
        "a breach known from the status only",
        "a breach of the version before",
    ],
)
def test_nothing_else_starts_one(memory):
    assert decided(memory).start is None


def test_one_of_two_breached_triggers_names_both_in_the_reason():
    policy = make_policy(
        make_trigger(), make_trigger("latency", breach={"operator": "GreaterThan", "threshold": "1"})
    )
    both = {"accuracy": breached(), "latency": breached(value="3")}

    start = decide(observe(policy=policy, triggers=both), EMPTY, generation=1).start

    assert start is not None
    assert start.reason == "accuracy 0.81 < 0.90, latency 3 > 1"


LATENCY = make_trigger("latency", breach={"operator": "GreaterThan", "threshold": "1"})
BOTH = {"accuracy": breached(), "latency": breached(value="3", message="3 > 1")}


def test_a_trigger_that_notifies_starts_nothing_and_is_told():
    policy = make_policy(make_trigger(action="Notify"))

    decision = decided(breached(), policy=policy)

    assert decision.start is None
    assert told(decision) == [Reason.TRIGGER_BREACHED]
    assert said(decision, "Breached") == ("True", "ThresholdExceeded")
    condition = find_condition(decision.status.conditions, "Breached")
    assert condition is not None
    assert condition.message == "accuracy: 0.81 < 0.90; action Notify starts no rollback"


def test_what_only_notifies_is_no_evidence():
    policy = make_policy(make_trigger(action="Notify"), LATENCY)

    start = decide(observe(policy=policy, triggers=BOTH), EMPTY, generation=1).start

    assert start is not None
    assert [e.trigger for e in start.evidence] == ["latency"]


@pytest.mark.parametrize(
    ("triggers", "starts"),
    [
        (BOTH, True),
        ({**BOTH, "latency": healthy()}, False),
        ({**BOTH, "latency": breached(observed_at=at(-15))}, False),
        ({**BOTH, "latency": breached(state="NoData")}, False),
        ({**BOTH, "latency": breached(consumed_by="recommender-1a2b3c4d5e")}, False),
    ],
    ids=[
        "at the same tick",
        "one is healthy",
        "one at an earlier tick",
        "one is not measured",
        "one is answered",
    ],
)
def test_as_many_as_match_says_must_be_breached_at_the_same_tick(triggers, starts):
    policy = make_policy(make_trigger(), LATENCY, match={"atLeast": 2})

    decision = decide(observe(policy=policy, triggers=triggers), EMPTY, generation=1)

    assert (decision.start is not None) is starts


def test_a_breach_that_is_too_few_says_so():
    policy = make_policy(make_trigger(), LATENCY, match={"atLeast": 2})
    decision = decide(observe(policy=policy, triggers={**BOTH, "latency": healthy()}), EMPTY, generation=1)

    condition = find_condition(decision.status.conditions, "Breached")

    assert condition is not None
    assert condition.message.endswith("; 1 of the 2 triggers that must be breached at once")


@pytest.mark.parametrize(
    ("memory", "available"),
    [
        (healthy(), "True"),
        (TriggerMemory("Stale", NOW, NOW, measurement=NO_DATA), "False"),
        (TriggerMemory("LowTraffic", NOW, NOW, measurement=LITTLE), "True"),
        (TriggerMemory("LowTraffic", NOW, NOW, measurement=replace(LITTLE, blind=True)), "False"),
        (TriggerMemory("Settling", NOW, NOW, measurement=LITTLE), "True"),
        (TriggerMemory("Settling", NOW, NOW, measurement=replace(LITTLE, blind=True)), "False"),
    ],
    ids=["measured", "stale", "little traffic", "unknown traffic", "settling", "settling and unmeasured"],
)
def test_metrics_are_available_while_every_trigger_is_measured(memory, available):
    found = find_condition(decided(memory).status.conditions, "MetricsAvailable")

    assert found is not None
    assert found.status == available


AT_WORK = {"status": make_status(active_rollback="r1", current_by="r1")}


def settling_without(measurement):
    return TriggerMemory("Settling", NOW, NOW, message="r1 is at work", measurement=measurement)


def test_that_a_rollback_replaces_what_is_measured_is_no_fault_of_the_source():
    during = decided(settling_without(replace(NO_DATA, blind=True)), decided(healthy()).status, **AT_WORK)
    after, well = decided(UNMEASURED, during.status), decided(healthy(), during.status)

    assert said(during, "MetricsAvailable") == ("Unknown", "NotJudged")
    assert (told(during), told(well)) == ([], [])
    assert told(after) == [Reason.METRICS_UNAVAILABLE], "it lasts when the Rollback has ended"


@pytest.mark.parametrize(
    "before", [healthy(), UNMEASURED], ids=["measured before", "not even measured before"]
)
def test_a_source_that_fails_during_a_rollback_is_told_once(before):
    during = decided(settling_without(replace(ERROR, blind=True)), decided(before).status, **AT_WORK)

    assert said(during, "MetricsAvailable") == ("False", "MetricsUnavailable")
    assert told(during) == ([Reason.METRICS_UNAVAILABLE] if before is not UNMEASURED else [])


def test_the_evidence_tells_the_baseline_and_the_notes():
    trigger = make_trigger(breach={"operator": "DropsBy", "threshold": "10%", "baseline": {"offset": "24h"}})
    noted = answer(0.8)
    noted = replace(noted, warnings=("1 of 3 stores did not answer",))
    measured = measure_from(trigger, noted, baseline=answer(1.0))

    memories = {"accuracy": breached(measurement=measured, value=measured.value, message=measured.message)}
    start = decide(observe(policy=make_policy(trigger), triggers=memories), EMPTY, generation=1).start

    assert start is not None
    assert start.reason == "accuracy 0.8 drops by 10% from 1"
    (seen,) = start.evidence
    assert (seen.baseline, seen.notes) == ("1", ("warning: 1 of 3 stores did not answer",))


def test_a_new_breach_beside_an_answered_one_starts_with_its_own_evidence():
    policy = make_policy(make_trigger(), make_trigger("latency"))
    memories = {"accuracy": breached(consumed_by="recommender-1a2b3c4d5e"), "latency": breached()}

    start = decide(observe(policy=policy, triggers=memories), EMPTY, generation=1).start

    assert start is not None
    assert [e.trigger for e in start.evidence] == ["latency"]


def test_after_its_own_rollback_started_nothing_is_added():
    first = decided(breached())
    assert first.start is not None
    memories = consume({"accuracy": breached()}, first.start.evidence, "recommender-1a2b3c4d5e")
    locked = make_status(active_rollback="recommender-1a2b3c4d5e")

    second = decide(observe(triggers=memories, status=locked), first.status, generation=1)
    third = decide(observe(triggers=memories, status=locked), second.status, generation=1)

    assert (second.start, second.announcements) == (None, ())
    assert (third.start, third.announcements, third.status) == (None, (), second.status)
    assert said(second, "Armed") == ("False", "RollbackInProgress")


def in_observe(memory, before=EMPTY, **fields):
    return decided(memory, before, policy=make_policy(mode="Observe"), **fields)


def test_observe_says_once_what_it_would_do():
    first = in_observe(breached())
    again = in_observe(breached(), first.status)
    blind = in_observe(BLIND_BREACH, again.status)
    seen_again = in_observe(breached(), blind.status)

    assert first.start is not None
    assert first.start.observe_only
    assert said(first, "Breached") == ("True", "WouldRollBack")
    assert [d.start for d in (again, blind, seen_again)] == [None] * 3
    assert again.status == first.status
    assert said(blind, "Breached") == ("Unknown", "WouldRollBack")


def test_observe_says_it_anew_for_the_next_breach_and_for_the_next_version():
    first = in_observe(breached())
    recovered = in_observe(healthy(), first.status)

    assert in_observe(breached(), recovered.status).start is not None
    newer = make_status(episode=8)
    assert in_observe(breached(episode=8), first.status, status=newer).start is not None


def test_an_invalid_policy_is_stalled_until_it_is_mended():
    broken = decided(None, policy=None, problem="spec.triggers: too short")
    again = decided(None, broken.status, policy=None, problem="spec.triggers: too short")
    mended = decided(healthy(), again.status, generation=2)

    assert said(broken, "Stalled") == ("True", "InvalidSpec")
    assert said(broken, "Ready") == ("False", "InvalidSpec")
    assert said(broken, "Armed") == ("False", "InvalidSpec")
    assert (told(broken), told(again), told(mended)) == ([Reason.INVALID_SPEC], [], [])
    assert said(mended, "Stalled") is None
    assert said(mended, "Ready") == ("True", "Ready")


def test_the_first_gate_that_blocks_is_the_reason_of_armed_false():
    decision = decided(breached(), status=make_status("v12"))

    assert said(decision, "Armed") == ("False", "AlreadyAtTarget")
    assert decision.start is None


def test_a_start_that_the_api_server_refused_is_said_until_it_is_mended():
    refused = decided(breached(), refused='rollbacks.modelrollback.dev is forbidden: may not "create"')
    mended = decided(breached(), refused.status)

    assert said(refused, "Armed") == ("False", "Forbidden")
    assert refused.start is not None, "it is tried again at every tick"
    assert said(mended, "Armed") == ("True", "Armed")


def test_a_policy_that_became_invalid_does_not_forget_which_breach_was_answered():
    answered = decided(breached(consumed_by="recommender-1a2b3c4d5e"))

    broken = decided(None, answered.status, policy=None, problem="spec.triggers: too short")

    assert broken.status.triggers == answered.status.triggers


def test_armed_names_the_version_that_a_breach_would_put_back():
    armed = find_condition(decided(healthy()).status.conditions, "Armed")

    assert armed is not None
    assert armed.message == "a breach now would put v12 back"
