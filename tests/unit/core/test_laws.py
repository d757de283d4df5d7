"""The safety laws, tried on many more stories than anybody would write down."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from model_rollback.api.v1alpha1.rollback_policy import RollbackPolicyStatus, Target
from model_rollback.core.candidates import choose
from model_rollback.core.decide import Decision, decide
from model_rollback.core.measure import Verdict
from model_rollback.core.plan import rollback_name
from model_rollback.core.triggers import advance, consume, consume_written, max_hold, restore
from tests.unit.core.builders import (
    BAD,
    ERROR,
    GOOD,
    INTERVAL,
    NO_DATA,
    NOW,
    at,
    breached,
    live,
    make_policy,
    make_status,
    make_system,
    make_trigger,
    observe,
)
from tests.unit.core.strategies import systems, tapes, targets, triggers, unmeasured


def play(trigger, tape, memory=None):
    """The memory after each tick, with the time of the tick."""
    now, memories = NOW, []
    for gap, measured in tape:
        now += timedelta(seconds=gap)
        memory = advance(trigger, memory, measured, now=now, interval=INTERVAL)
        memories.append((now, measured, memory))
    return memories


# --- triggers -----------------------------------------------------------------------------------------------------


@given(triggers, tapes(unmeasured, max_size=200))
def test_what_was_not_measured_never_breaches_however_long_it_lasts(trigger, tape):
    assert {m.state for _, _, m in play(trigger, tape)} <= {"NoData", "Error", "Stale", "LowTraffic"}


@given(triggers, tapes())
def test_only_a_bad_measurement_breaches(trigger, tape):
    for _, measured, memory in play(trigger, tape):
        assert (memory.state in ("Pending", "Breached")) == (measured is BAD)


@given(triggers, tapes())
def test_the_clock_never_exceeds_the_time_that_was_judged_bad(trigger, tape):
    judged = timedelta(0)
    before = None
    for now, measured, memory in play(trigger, tape):
        if before is not None and measured is BAD and before[1] is BAD:
            judged += now - before[0]
        if measured.verdict is Verdict.HEALTHY:
            judged = timedelta(0)
        assert timedelta(0) <= memory.clock <= judged
        before = now, measured


@given(triggers, tapes())
def test_a_breach_begins_only_with_its_whole_time_and_count(trigger, tape):
    was_open = False
    for _, _, memory in play(trigger, tape):
        if memory.open and not was_open:
            assert memory.clock >= trigger.for_
            assert memory.streak >= trigger.consecutive
        was_open = memory.open


@given(triggers, tapes(), tapes(unmeasured))
def test_time_without_measurements_brings_no_breach_nearer(trigger, tape, silence):
    memories = play(trigger, tape)
    if not memories:
        return
    _, _, last = memories[-1]

    after = play(trigger, silence, replace(last, observed_at=NOW, judged_at=NOW if last.judged_at else None))

    for _, _, memory in after:
        assert memory.clock <= last.clock
        assert memory.streak <= last.streak
        assert last.open or not memory.open


@given(triggers, tapes())
def test_a_replay_never_fires_and_keeps_the_same_clock(trigger, tape):
    now, live, replayed = NOW, None, None
    for gap, measured in tape:
        now += timedelta(seconds=gap)
        live = advance(trigger, live, measured, now=now, interval=INTERVAL)
        replayed = advance(trigger, replayed, measured, now=now, interval=INTERVAL, live=False)
        assert not replayed.open
        assert replayed.state != "Breached"
        assert (replayed.clock, replayed.streak) == (live.clock, live.streak)


@given(triggers, tapes(), tapes())
def test_while_it_settles_no_clock_runs_and_nothing_is_decided(trigger, tape, settling):
    memory = play(trigger, tape)[-1][2] if tape else None
    now = memory.observed_at if memory else NOW
    opened = memory.open if memory else False
    for gap, measured in settling:
        now += timedelta(seconds=gap)
        memory = advance(
            trigger, memory, measured, now=now, interval=INTERVAL, settling="a rollback is at work"
        )
        assert (memory.state, memory.clock, memory.streak) == ("Settling", timedelta(0), 0)
        assert opened or not memory.open


@given(triggers, tapes(), st.data())
def test_looking_again_at_the_same_samples_changes_no_clock(trigger, tape, data):
    """Each measured tick rests on a sample of its own; in between, the same ones are looked at again."""
    now, once, twice = NOW, None, None
    for gap, measured in tape:
        now += timedelta(seconds=gap)
        fresh = replace(measured, taken_at=(now.timestamp(),)) if measured in (BAD, GOOD) else measured
        once = advance(trigger, once, fresh, now=now, interval=INTERVAL)
        twice = advance(trigger, twice, fresh, now=now, interval=INTERVAL)
        if fresh.taken_at and data.draw(st.booleans()):
            now += timedelta(milliseconds=1)
            twice = advance(trigger, twice, fresh, now=now, interval=INTERVAL)
        assert (twice.state, twice.open) == (once.state, once.open)
        assert once.open or (twice.streak, twice.clock) == (once.streak, once.clock)


@given(triggers, tapes())
def test_an_answered_breach_ends_by_a_healthy_measurement_and_by_nothing_else(trigger, tape):
    answered = breached(consumed_by="recommender-1a2b3c4d5e", episode=0)
    for _, measured, memory in play(trigger, tape, answered):
        if measured.verdict is Verdict.HEALTHY:
            break
        assert (memory.open, memory.consumed_by) == (True, "recommender-1a2b3c4d5e")


@given(triggers, tapes())
def test_an_unanswered_breach_ends_by_a_healthy_measurement_or_when_nobody_looked_for_too_long(trigger, tape):
    was_open, judged_at = False, NOW
    for now, measured, memory in play(trigger, tape):
        if was_open and not memory.open:
            assert measured.verdict is Verdict.HEALTHY or now - judged_at > max_hold(trigger, INTERVAL)
        was_open, judged_at = memory.open, memory.judged_at or judged_at


# --- decisions ----------------------------------------------------------------------------------------------------

POLICIES = {
    mode: make_policy(make_trigger(**{"for": "30s"}), mode=mode)
    for mode in ("Enforce", "Observe", "Suspended")
}


@st.composite
def observations(draw):
    """A system and a policy at one tick of a story."""
    spec, status = draw(st.just((make_system(), make_status())) | systems())
    mode = draw(st.sampled_from(["Enforce", "Enforce", "Observe", "Suspended"]))
    policy = POLICIES[mode].model_copy(update={"target": draw(st.just(Target()) | targets)})
    tape = draw(tapes(max_size=6)) + [(15, BAD)] * draw(st.sampled_from([0, 1, 3, 3]))
    memories = play(policy.triggers[0], tape)
    now = memories[-1][0] if memories else NOW
    triggers = {"accuracy": replace(memories[-1][2], episode=status.episode)} if memories else {}
    if triggers and triggers["accuracy"].open and draw(st.sampled_from([False, False, True])):
        triggers = {"accuracy": replace(triggers["accuracy"], consumed_by="recommender-0000000000")}
    return observe(
        now=now,
        system=spec,
        status=status,
        policy=policy,
        triggers=triggers,
        live=[live(status.current_version)],
    )


earlier = st.one_of(
    st.just(RollbackPolicyStatus()),
    observations().map(lambda o: decide(o, RollbackPolicyStatus(), generation=1).status),
)
"""What the policy's status may say from before."""


@given(observations(), earlier)
def test_deciding_is_deterministic(observation, before):
    assert decide(observation, before, generation=2) == decide(observation, before, generation=2)


def assert_found(examples, condition):
    """Fails with NoSuchExample when the laws are tried on none; the first one will do, however large."""
    assert condition(find(examples, condition, settings=settings(phases=[Phase.generate])))


def test_the_stories_reach_what_the_laws_speak_of():
    def starts(observation):
        return decide(observation, RollbackPolicyStatus(), generation=1).start is not None

    def blocked_at_breach(observation):
        return any(m.state == "Breached" for m in observation.triggers.values()) and not starts(observation)

    assert_found(observations(), starts)
    assert_found(observations(), lambda o: starts(o) and o.policy.mode == "Observe")
    assert_found(observations(), blocked_at_breach)


def carried_out(observation, decision: Decision):
    """What is seen after the decision's own effects, at the same moment."""
    start = decision.start
    if start is None or start.observe_only:
        return observation
    status = observation.status
    name = rollback_name("recommender", "uid-recommender", status.episode, status.attempt)
    return replace(
        observation,
        status=status.model_copy(update={"active_rollback": name}),
        triggers=consume(observation.triggers, start.evidence, name),
    )


@given(observations(), earlier)
def test_after_its_own_effects_a_decision_adds_none(observation, before):
    first = decide(observation, before, generation=2)
    after = carried_out(observation, first)

    second = decide(after, first.status, generation=2)
    third = decide(after, second.status, generation=2)

    assert (second.start, second.announcements) == (None, ())
    assert (third.start, third.announcements) == (None, ())
    assert third.status == second.status
    if first.start is None or first.start.observe_only:
        assert second.status == first.status


@given(observations(), earlier)
def test_nothing_but_a_live_unanswered_breach_starts(observation, before):
    start = decide(observation, before, generation=2).start

    if start is not None:
        assert observation.policy is not None
        assert observation.policy.mode != "Suspended"
        assert start.observe_only == (observation.policy.mode == "Observe")
        assert observation.status.active_rollback == ""
        for seen in start.evidence:
            memory = observation.triggers[seen.trigger]
            assert (memory.state, memory.consumed_by, memory.measurement) == ("Breached", "", BAD)


@given(observations(), earlier)
def test_no_decision_targets_what_is_quarantined_unverified_or_live(observation, before):
    start = decide(observation, before, generation=2).start

    if start is not None:
        assert_safe(
            start.candidate,
            observation.policy.target,
            observation.system,
            observation.status,
            observation.now,
        )


@given(targets, systems(), st.integers(-10, 4000))
def test_no_choice_is_quarantined_unverified_or_live(target, system, tick):
    spec, status = system

    chosen = choose(target, spec, status, now=at(tick)).candidate

    if chosen is not None:
        assert_safe(chosen, target, spec, status, at(tick))


def assert_safe(candidate, target, spec, status, now):
    assert candidate.version != status.current_version
    assert candidate.digest != status.current_digest
    assert candidate.version not in {q.version for q in status.quarantined if q.until > now}
    known = {v.name: v.safe for v in spec.versions} | {v.version: v.safe for v in status.history}
    assert candidate.version in known
    if target.allow_unverified == "Never":
        assert known[candidate.version] == "Verified"


# --- one breach, one rollback -------------------------------------------------------------------------------------


class Story:
    """A policy, its ModelDeployment, and an operator that may die before it writes the status of a tick.

    The version never changes. A Rollback carries its evidence from its creation on.
    """

    def __init__(self):
        self.policy = make_policy(guards={"cooldown": "0s"})
        self.system = make_status()
        self.written = RollbackPolicyStatus()
        self.memories = {}
        self.now = NOW
        self.rollbacks = []
        self.tick(GOOD)

    def tick(self, measured, *, dies=False):
        self.now += timedelta(seconds=15)
        (trigger,) = self.policy.triggers
        memory = advance(
            trigger,
            self.memories.get(trigger.name),
            measured,
            now=self.now,
            interval=INTERVAL,
            episode=self.system.episode,
        )
        self.memories = {trigger.name: memory}
        decision = self.decide()
        if decision.start is not None:
            name = rollback_name("recommender", "uid", self.system.episode, self.system.attempt)
            self.rollbacks.append((name, decision.start.evidence))
            self.system = self.system.model_copy(update={"active_rollback": name})
        if dies:
            self.memories = {t.name: restore(t, self.now) for t in self.written.triggers}
            return
        if decision.start is not None:
            self.memories = consume(self.memories, decision.start.evidence, name)
            decision = self.decide()
        self.written = decision.status

    def decide(self):
        seen = observe(now=self.now, policy=self.policy, status=self.system, triggers=self.memories)
        return decide(seen, self.written, generation=1)

    def finish(self):
        """Its Rollback ends and leaves the version as it is, e.g. by Abort with onAbort: Leave."""
        if self.system.active_rollback:
            name, evidence = self.rollbacks[-1]
            self.memories = consume(self.memories, evidence, name)
            marked = consume_written(self.written.triggers, evidence, name, episode=self.system.episode)
            self.written = self.written.model_copy(update={"triggers": marked})
            released = {"active_rollback": "", "attempt": self.system.attempt + 1}
            self.system = self.system.model_copy(update=released)


events = st.sampled_from(["bad", "bad", "no data", "error", "bad, and dies", "no data, and dies", "finish"])


@given(st.lists(events, max_size=40))
def test_one_breach_causes_one_rollback_whatever_dies_in_between(tape):
    story = Story()
    for event in tape:
        if event == "finish":
            story.finish()
        else:
            measured = {"bad": BAD, "no data": NO_DATA, "error": ERROR}[event.split(",")[0]]
            story.tick(measured, dies=event.endswith("dies"))

    assert len(story.rollbacks) == any(event.startswith("bad") for event in tape)


def test_the_next_breach_causes_the_next_rollback():
    story = Story()
    for measured in (BAD, GOOD, BAD):
        story.tick(measured)
        story.finish()

    assert len({name for name, _ in story.rollbacks}) == 2
