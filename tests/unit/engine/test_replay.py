"""Clocks rebuilt from history: as if the process had never ended, but for firing, which takes a live tick."""

import asyncio

import pytest

from model_rollback.api.v1alpha1.trigger import TriggerSpec
from model_rollback.core.measure import measure
from model_rollback.core.presets import resolve_trigger
from model_rollback.core.questions import questions_of
from model_rollback.core.triggers import advance
from model_rollback.engine.replay import MAX_TICKS, Replays, Stretch, stretch
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, RangeAnswer, Sample, Series
from tests.unit.core.builders import INTERVAL, NOW, answer, at, make_trigger, seconds

VALUES = {"b": 0.81, "g": 0.95, "-": None}


class History:
    """Answers ranges with one series that holds a value for each letter, from NOW on; counts what it is asked."""

    def __init__(self, tape, failing=()):
        self.tape, self.failing, self.asked = tape, failing, []

    async def query(self, text, when, *, within=None):
        self.asked.append(text)
        return answer(1.0)

    async def query_range(self, text, start, end, step, *, within=None):
        self.asked.append(text)
        if any(word in text for word in self.failing):
            raise MetricsError("timeout", "no answer within 5s")
        count = round((end - start) / step) + 1
        moments = tuple(start + n * step for n in range(count))
        if "timestamp" in text:
            values = tuple(m.timestamp() for m in moments)
        else:
            values = tuple(VALUES[self.tape[round((m - NOW) / INTERVAL)]] for m in moments)
        return RangeAnswer(moments, (Series({"i": "0"}, values),))

    async def alert_rules(self, *, within=None):
        self.asked.append("rules")
        return Answer((Sample({"alertname": "A", "health": "ok"}, 1.0),))


def replayed(trigger, tape, **more):
    source = History(tape, **more)
    past = Stretch(NOW, len(tape), INTERVAL)
    memory = asyncio.run(Replays(source).replay(trigger, past, episode=7, target_seen=None))
    return memory, source


def live(trigger, memory, value, tick):
    questions = questions_of(trigger)
    measured = measure(trigger, questions, {questions.value: answer(value)}, now=at(15 * tick))
    return advance(trigger, memory, measured, now=at(15 * tick), interval=INTERVAL, episode=7)


@pytest.mark.parametrize(
    ("tape", "state", "clock", "streak"),
    [
        ("bbb", "Pending", 30, 3),
        ("bb-b", "Pending", 15, 3),
        ("bbgb", "Pending", 0, 1),
        ("bbg", "Healthy", 0, 0),
        ("b" * 40, "Pending", 585, 40),
    ],
    ids=["bad all along", "held", "healthy once", "healthy again", "long over, and still it does not fire"],
)
def test_the_clock_is_what_it_would_have_been(tape, state, clock, streak):
    memory, _ = replayed(make_trigger(**{"for": "1m"}), tape)

    assert (memory.state, memory.clock, memory.streak, memory.open) == (state, seconds(clock), streak, False)
    assert memory.episode == 7


def test_the_next_live_tick_fires_when_the_time_is_over():
    trigger = make_trigger(**{"for": "1m"})
    memory, _ = replayed(trigger, "bbbb")

    assert live(trigger, memory, 0.81, 4).state == "Breached"
    assert live(trigger, memory, 0.81, 4).breaching_since == NOW
    assert live(trigger, memory, 0.95, 4).state == "Healthy"


@pytest.mark.parametrize("failing", ["accuracy", "timestamp"])
def test_where_the_history_cannot_be_had_there_is_no_clock(failing):
    memory, _ = replayed(make_trigger(**{"for": "1m"}), "bbb", failing=[failing])

    assert memory is None


def test_policies_that_share_a_question_share_its_history():
    source, trigger = History("bbb"), make_trigger(**{"for": "1m"})
    replays, past = Replays(source), Stretch(NOW, 3, INTERVAL)

    async def both():
        ask = (replays.replay(trigger, past, episode=7, target_seen=None) for _ in range(10))
        return await asyncio.gather(*ask)

    memories = asyncio.run(both())

    assert {m.clock for m in memories} == {seconds(30)}
    assert len(source.asked) == 2, "the query, and when its samples were taken"


def test_baselines_and_rules_are_asked_for_too():
    given = {"operator": "DropsBy", "threshold": "10%", "baseline": {"version": "Target"}}
    trigger = make_trigger(breach=given, **{"for": "1m"})
    source = History("bbb")
    past = Stretch(NOW, 3, INTERVAL)
    memory = asyncio.run(Replays(source).replay(trigger, past, episode=7, target_seen=at(-3600)))
    alert = resolve_trigger(TriggerSpec.model_validate({"name": "a", "for": "1m", "alert": {"name": "A"}}))
    quiet, asked = replayed(alert, "---")

    assert memory is not None
    assert memory.clock == seconds(30)
    assert (quiet.state, asked.asked) == ("Healthy", ['ALERTS{alertstate="firing"}', "rules"])


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        (NOW, at(0), Stretch(NOW, 0, INTERVAL)),
        (NOW, at(1), Stretch(NOW, 1, INTERVAL)),
        (NOW, at(15), Stretch(NOW, 1, INTERVAL)),
        (NOW, at(15.001), Stretch(NOW, 2, INTERVAL)),
        (at(-15 * 20_000), NOW, Stretch(at(-15 * MAX_TICKS), MAX_TICKS, INTERVAL)),
        (at(5), NOW, Stretch(at(5), 0, INTERVAL)),
    ],
    ids=["no time", "within a tick", "one tick", "two ticks", "too long", "the clock was set back"],
)
def test_the_ticks_that_are_replayed_lie_before_now(since, now, expected):
    assert stretch(since, now, INTERVAL) == expected


def test_nothing_to_replay_is_no_clock():
    memory, source = replayed(make_trigger(**{"for": "1m"}), "")

    assert (memory, source.asked) == (None, [])
