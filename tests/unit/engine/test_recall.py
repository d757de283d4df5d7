"""A process that ends while a clock runs or is held: the next one goes on with that clock as soon as it can."""

from dataclasses import replace
from datetime import timedelta

import pytest

from model_rollback.api.v1alpha1.rollback_policy import RollbackPolicyStatus
from model_rollback.core.decide import decide
from model_rollback.core.measure import measure
from model_rollback.core.questions import questions_of
from model_rollback.core.triggers import advance, restore
from model_rollback.engine.recall import Recall
from model_rollback.engine.store import Store
from model_rollback.errors import MetricsError
from tests.unit.core.builders import ERROR, INTERVAL, NO_DATA, NOW, answer, at, make_trigger, observe, seconds
from tests.unit.engine.test_replay import History

TRIGGER = make_trigger(**{"for": "2m"})
QUESTIONS = questions_of(TRIGGER)
MEASURED = {
    "b": measure(TRIGGER, QUESTIONS, {QUESTIONS.value: answer(0.81)}, now=NOW),
    "g": measure(TRIGGER, QUESTIONS, {QUESTIONS.value: answer(0.95)}, now=NOW),
    "-": NO_DATA,
    "e": ERROR,
}


def judge(memory, letter, tick):
    now = at(15 * tick)
    return advance(TRIGGER, memory, MEASURED[letter], now=now, interval=INTERVAL, episode=7)


def lived(tape):
    """The memory and the status that a process has after that tape."""
    memory, status = None, RollbackPolicyStatus()
    for tick, letter in enumerate(tape):
        memory = judge(memory, letter, tick)
        seen = observe(now=at(15 * tick), triggers={TRIGGER.name: memory})
        status = decide(seen, status, generation=1).status
    return memory, status


class Successor:
    """The process after it, with what the API server has kept."""

    def __init__(self, status, source):
        store = Store()
        meta = {"namespace": "shop", "generation": 1}
        spec = TRIGGER.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        self.policy = store.put_policy(
            {
                "metadata": {**meta, "name": "p", "uid": "1"},
                "spec": {"modelDeploymentRef": {"name": "m"}, "triggers": [spec]},
                "status": status.model_dump(mode="json", by_alias=True),
            }
        )
        store.put_system(
            {"metadata": {**meta, "name": "m", "uid": "2"}, "spec": {}, "status": {"episode": 7}}
        )
        self.source = source
        self.recall = Recall(store, {"default": source}, lambda _policy, _now: None)

    async def tick(self, tick, letter=""):
        """One tick; `letter`: what is measured live, after the clocks were rebuilt."""
        within = timedelta(seconds=6)
        await self.recall.recall([self.policy], "default", now=at(15 * tick), within=within)
        if letter:
            (status,) = self.policy.status.triggers
            memory = self.policy.memories.get(TRIGGER.name) or restore(status, at(15 * tick))
            self.policy.memories = {TRIGGER.name: judge(memory, letter, tick)}
        return self.policy.memories.get(TRIGGER.name)


class Outage(History):
    """Has the history of `tape`, and cannot be asked while `down`."""

    down = True

    async def query_range(self, text, start, end, step, *, within=None):
        if self.down:
            self.asked.append(text)
            raise MetricsError("unreachable", "connection refused")
        return await super().query_range(text, start, end, step, within=within)


CLOCKS = {
    "running": "gbbb",
    "held without data": "gbb-",
    "held for longer": "gbb----",
    "held by an error": "gbbe",
    "held in between": "gb-b",
}


@pytest.mark.parametrize("tape", CLOCKS.values(), ids=CLOCKS)
async def test_a_clock_goes_on_whatever_state_was_written_last(tape):
    memory, status = lived(tape)
    after = Successor(status, History(tape.replace("e", "-")))

    rebuilt = await after.tick(len(tape))

    assert (rebuilt.clock, rebuilt.streak) == (memory.clock, memory.streak) != (timedelta(0), 0)
    assert rebuilt.breaching_since == memory.breaching_since == at(15)
    assert not rebuilt.open
    asked = len(after.source.asked)
    await after.tick(len(tape) + 1, "b")
    assert len(after.source.asked) == asked, "asked for once"


@pytest.mark.parametrize(
    "tape", ["gg-", "gbbg-", "g", "gbb" + "-" * 30], ids=["no clock", "ended", "well", "over"]
)
async def test_where_no_clock_was_held_nothing_is_asked(tape):
    after = Successor(lived(tape)[1], History(tape))

    assert await after.tick(len(tape)) is None
    assert after.source.asked == []


async def test_an_outage_that_lasts_through_the_restart_costs_no_clock():
    tape = "gbbe"
    after = Successor(lived(tape)[1], Outage(tape.replace("e", "-") + "--"))

    for tick in (4, 5):
        memory = await after.tick(tick, "e")
        assert (memory.state, memory.streak) == ("Error", 0)
    after.source.down = False
    memory = await after.tick(6)

    assert (memory.clock, memory.streak, memory.breaching_since) == (seconds(15), 2, at(15))


async def test_a_live_judgement_ends_the_tries_and_the_clock_begins_there():
    tape = "gbbe"
    after = Successor(lived(tape)[1], Outage(tape))

    memory = await after.tick(4, "b")

    assert (memory.state, memory.clock, memory.breaching_since) == ("Pending", timedelta(0), at(60))
    after.source.down = False
    assert await after.tick(5) is memory


OPEN = "g" + "b" * 10


async def test_a_breach_that_was_answered_is_no_clock():
    memory, status = lived(OPEN + "-")
    (written,) = status.triggers
    answered = status.model_copy(update={"triggers": (written.model_copy(update={"consumed_by": "r"}),)})
    after = Successor(answered, History(OPEN + "-"))

    assert memory.open
    assert (written.state, written.breaching_since, written.pending_since) == ("NoData", at(15), None)
    assert await after.tick(12) is None
    assert after.source.asked == []
    assert restore(written, at(180)) == replace(
        memory,
        observed_at=at(180),
        measurement=None,
        clock=timedelta(0),
        streak=0,
        judged_at=None,
        sampled_at=None,
        taken_at=(),
    )


AWAY = {
    "bad all along": ("b" * 300, "Breached"),
    "away for seconds": ("", "Breached"),
    "not measured for a moment": ("-" * 10, "Breached"),
    "healthy meanwhile": ("b" * 100 + "g" * 200, "Pending"),
    "healthy once, and bad for long": ("g" * 200 + "b" * 100, "Breached"),
    "healthy once, and bad for a moment": ("g" * 295 + "b" * 5, "Pending"),
    "not measured for longer than maxHold": ("-" * 300, "Pending"),
}


@pytest.mark.parametrize(("meanwhile", "state"), AWAY.values(), ids=AWAY)
async def test_one_bad_tick_answers_no_breach_that_did_not_last_while_nobody_looked(meanwhile, state):
    tape = OPEN + meanwhile
    after = Successor(lived(OPEN)[1], History(tape))

    memory = await after.tick(len(tape), "b")

    assert (memory.state, memory.open) == (state, state == "Breached")


async def test_whether_a_breach_lasted_is_asked_of_the_newest_history_only():
    after = Successor(lived(OPEN)[1], History(OPEN + "b" * 300))
    moments = []
    asked = after.source.query_range

    async def query_range(text, start, end, step, **more):
        moments.append(start)
        return await asked(text, start, end, step, **more)

    after.source.query_range = query_range
    await after.tick(311)

    assert set(moments) == {at(15 * 311 - 330)}


async def test_a_breach_of_which_nobody_can_tell_whether_it_lasted_is_to_be_seen_anew():
    after = Successor(lived(OPEN)[1], Outage(OPEN + "bb"))

    memory = await after.tick(12, "b")

    assert (memory.state, memory.open) == ("Pending", False)


async def test_the_history_of_a_breach_is_asked_for_until_it_is_there():
    after = Successor(lived(OPEN)[1], Outage(OPEN + "bb"))
    assert not (await after.tick(11, "e")).open

    after.source.down = False
    memory = await after.tick(12, "b")

    assert (memory.state, memory.open, memory.since) == ("Breached", True, at(135))
