"""The clock of `for`, told as tapes: one letter for each tick of 15 seconds.

`b` bad, `g` good, `r` good and not beyond recoverAt, `-` no data, `s` stale, `l` low traffic, `!` error, `.` a tick
that never came. The states of all ticks are written the same way: Healthy, Pending, Breached, NoData, Stale,
LowTraffic, Error by their first letter.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from model_rollback.api.v1alpha1.rollback_record import Evidence
from model_rollback.api.v1alpha1.trigger import TriggerStatus
from model_rollback.core.measure import Measurement, Verdict
from model_rollback.core.triggers import (
    advance,
    consume,
    consume_written,
    forget_clock,
    judge,
    max_hold,
    restore,
)
from tests.unit.core.builders import (
    BAD,
    ERROR,
    GOOD,
    INTERVAL,
    NO_DATA,
    NOW,
    at,
    breached,
    healthy,
    make_trigger,
    seconds,
)

LETTERS = {
    "b": BAD,
    "g": GOOD,
    "-": NO_DATA,
    "!": ERROR,
    "s": Measurement(Verdict.STALE, "0.81", "the newest sample is 3m old, more than 2m"),
    "l": Measurement(Verdict.LOW_TRAFFIC, "", "traffic of 1 is below 5: not judged"),
    "r": replace(GOOD, recovering="0.92 is not beyond 0.93, where it is healthy again"),
}
FOR_1M = {"for": "1m"}

TAPES = {
    "with neither `for` nor `consecutive` one bad tick fires": ({}, "gb", "HB"),
    "`for` fires at the tick that completes it": (FOR_1M, "gbbbbbb", "HPPPPBB"),
    "a healthy tick resets the clock": (FOR_1M, "bbbbgbbbbb", "PPPPHPPPPB"),
    "a tick without data adds nothing and resets nothing": (FOR_1M, "bbb-bbb", "PPPNPPB"),
    "an error adds nothing and resets nothing": (FOR_1M, "bbb!bbb", "PPPEPPB"),
    "held time is no bad time, however long": (FOR_1M, "bb---------b", "PPNNNNNNNNNP"),
    "it never fires at a tick that was not measured": (FOR_1M, "bbbb-----b", "PPPPNNNNNP"),
    "alternating bad and unmeasured ticks never run the clock": (FOR_1M, "b-b-b-b-b-b-b-b-b-b-", "PN" * 10),
    "held for longer than maxHold, the clock starts anew": (
        {"for": "1m", "maxHold": "1m"},
        "bbbb-----bbbbb",
        "PPPPNNNNNPPPPB",
    ),
    "held for exactly maxHold, it goes on": ({"for": "1m", "maxHold": "1m"}, "bbbb---bb", "PPPPNNNPB"),
    "missed ticks count between two bad ones while shorter than maxHold": (FOR_1M, "bb..b", "PPB"),
    "a gap longer than maxHold never completes a `for`": (
        {"for": "1m", "maxHold": "30s"},
        "bb......bbbbb",
        "PPPPPPB",
    ),
    "`consecutive` counts bad ticks": ({"consecutive": 3}, "bbgbbb", "PPHPPB"),
    "`consecutive` passes over what was not measured": ({"consecutive": 3}, "bb-!b", "PPNEB"),
    "`consecutive` too starts anew after maxHold": (
        {"consecutive": 3, "maxHold": "30s"},
        "bb---bbb",
        "PPNNNPPB",
    ),
    "with both given, the clock alone is not enough": ({"for": "15s", "consecutive": 4}, "bbbb", "PPPB"),
    "with both given, the count alone is not enough": ({"for": "1m", "consecutive": 2}, "bbbbb", "PPPPB"),
    "onNoData Breach: no data is a bad tick": ({"for": "30s", "onNoData": "Breach"}, "---", "PPB"),
    "onNoData Healthy: no data is a good tick": ({"for": "30s", "onNoData": "Healthy"}, "bb-bbb", "PPHPPB"),
    "onNoData says nothing of errors": ({"for": "30s", "onNoData": "Breach"}, "!!!!", "EEEE"),
    "onError Breach: an error is a bad tick": ({"for": "30s", "onError": "Breach"}, "!b!", "PPB"),
    "onError says nothing of missing data": ({"for": "30s", "onError": "Breach"}, "----", "NNNN"),
    "a stale tick adds nothing and resets nothing": (FOR_1M, "bbbsbbb", "PPPSPPB"),
    "low traffic adds nothing and resets nothing": (FOR_1M, "bbblbbb", "PPPLPPB"),
    "onNoData Breach: a stale sample is a bad tick": ({"for": "30s", "onNoData": "Breach"}, "sss", "PPB"),
    "onNoData Healthy: a stale sample is a good tick": ({"for": "30s", "onNoData": "Healthy"}, "bbs", "PPH"),
    "low traffic is not judged whatever onNoData says": ({"onNoData": "Breach"}, "lll", "LLL"),
    "low traffic is not judged whatever onError says": ({"onError": "Breach"}, "lll", "LLL"),
    "once breached, healthy again only beyond recoverAt": (FOR_1M, "bbbbbrrg", "PPPPBBBH"),
    "before a breach the threshold decides, not recoverAt": (FOR_1M, "bbbrbbrr", "PPPHPPHH"),
    "after a breach the threshold decides again": ({}, "brgrbr", "BBHHBB"),
    "an open breach is Breached again as soon as it is measured": (FOR_1M, "bbbbb--!b", "PPPPBNNEB"),
    "after a gap longer than maxHold an unanswered breach needs its whole time again": (
        {"for": "1m", "maxHold": "30s"},
        "bbbbb------bbbbb",
        "PPPPBNNNNNNPPPPB",
    ),
    "only a healthy tick ends a breach": (FOR_1M, "bbbbb-g-b", "PPPPBNHNP"),
}


def resting_on(measurement, *ages):
    """The measurement when its samples were taken that many seconds after NOW."""
    return replace(measurement, taken_at=tuple(at(age).timestamp() for age in ages))


SAMPLES = {
    "every tick a new sample": (FOR_1M, [0, 15, 30, 45, 60], "PPPPB"),
    "a scrape interval of two ticks: time counts from sample to sample": (
        FOR_1M,
        [0, 0, 30, 30, 60],
        "PPPPB",
    ),
    "one bad sample does not become two by being looked at twice": (
        {"consecutive": 2},
        [0, 0, 0, 15],
        "PPPB",
    ),
    "one bad sample alone never fills a `for`": (FOR_1M, [0] * 12, "P" * 12),
    "a new sample of one selector is enough": ({"consecutive": 3}, [(0, 0), (0, 15), (30, 15)], "PPB"),
    "a repeated good sample is passed over too": ({"consecutive": 3}, [0, 15, "g15", 30], "PPPB"),
    "a repeated sample neither adds to a hold nor ends it": (FOR_1M, [0, 15, "-", 15, 60], "PPNNP"),
}


@pytest.mark.parametrize("story", SAMPLES)
def test_clocks_count_distinct_samples(story):
    fields, tape, states = SAMPLES[story]
    memory, memories = None, []
    for tick, taken in enumerate(tape):
        of, ages = (LETTERS[taken[0]], taken[1:].split()) if isinstance(taken, str) else (BAD, taken)
        ages = [float(a) for a in (ages if isinstance(ages, (list, tuple)) else [ages])]
        measured = resting_on(of, *ages)
        memory = advance(make_trigger(**fields), memory, measured, now=at(15 * tick), interval=INTERVAL)
        memories.append(memory)

    assert letters(memories) == states


ASKED_LATER = {
    "what an earlier streak rested on is forgotten with it": (
        {"consecutive": 2},
        [BAD, resting_on(GOOD, 15), BAD, resting_on(BAD, 30)],
        "PHPP",
    ),
    "a tick that was bad by an error saw no sample that could be repeated": (
        {"consecutive": 2, "onError": "Breach"},
        [ERROR, resting_on(GOOD, -5)],
        "PH",
    ),
    "a sample that was there at a held tick only is a new one": (
        {"consecutive": 2},
        [BAD, LETTERS["l"], resting_on(BAD, 10)],
        "PLB",
    ),
    "ticks that are bad without samples count each": (
        {"consecutive": 3, "onNoData": "Breach"},
        [NO_DATA, resting_on(NO_DATA, -60), resting_on(NO_DATA, -60)],
        "PPB",
    ),
}


@pytest.mark.parametrize("story", ASKED_LATER)
def test_a_sample_is_old_when_a_judged_tick_rested_on_it(story):
    fields, tape, states = ASKED_LATER[story]
    memory, memories = None, []
    for tick, measured in enumerate(tape):
        memory = advance(make_trigger(**fields), memory, measured, now=at(15 * tick), interval=INTERVAL)
        memories.append(memory)

    assert letters(memories) == states


def test_what_was_there_at_a_tick_that_did_not_ask_is_no_new_sample():
    trigger = make_trigger(consecutive=2)
    first = advance(trigger, None, BAD, now=at(20), interval=INTERVAL)

    old = advance(trigger, first, resting_on(BAD, 20), now=at(35), interval=INTERVAL)
    new = advance(trigger, first, resting_on(BAD, 20.001), now=at(35), interval=INTERVAL)

    assert (old.state, old.streak, old.judged_at) == ("Pending", 1, at(20))
    assert (new.state, new.streak) == ("Breached", 2)


def play(trigger, tape, memory=None, start=0, episode=0):
    """The memories after each tick that came."""
    memories = []
    for tick, letter in enumerate(tape, start):
        if letter != ".":
            memory = advance(
                trigger, memory, LETTERS[letter], now=at(15 * tick), interval=INTERVAL, episode=episode
            )
            memories.append(memory)
    return memories


def letters(memories):
    return "".join(m.state[0] for m in memories)


@pytest.mark.parametrize("story", TAPES)
def test_the_states_along_a_tape(story):
    fields, tape, states = TAPES[story]

    assert letters(play(make_trigger(**fields), tape)) == states


def test_a_state_keeps_its_beginning_while_it_lasts():
    memories = play(make_trigger(**FOR_1M), "gbbbbbb")

    assert [m.since for m in memories] == [at(0), *[at(15)] * 4, *[at(75)] * 2]
    assert [m.breaching_since for m in memories] == [None, *[at(15)] * 6]


def test_pending_says_how_far_it_is():
    *_, last = play(make_trigger(**{"for": "1m", "consecutive": 10}), "bbb")

    assert last.message == "0.81 < 0.90, for 30s of 1m and 3 of 10 evaluations in a row"


@pytest.mark.parametrize(
    ("fields", "interval", "hold"),
    [({}, 15, 300), ({}, 120, 600), ({"maxHold": "45s"}, 120, 45), ({"maxHold": "0s"}, 15, 0)],
    ids=["at least five minutes", "five intervals", "as given", "given as zero"],
)
def test_how_long_the_clock_may_be_held(fields, interval, hold):
    assert max_hold(make_trigger(**fields), seconds(interval)) == seconds(hold)


def settle_through(trigger, memory, measured, tick, why="a new version warms up"):
    return advance(trigger, memory, measured, now=at(15 * tick), interval=INTERVAL, settling=why)


def test_while_it_settles_nothing_is_judged_and_no_clock_runs():
    trigger = make_trigger(**FOR_1M)
    pending = play(trigger, "bbbb")[-1]

    settled = settle_through(trigger, pending, BAD, 4)
    after = play(trigger, "bbbbb", settled, start=5)

    assert (settled.state, settled.clock, settled.value) == ("Settling", timedelta(0), "0.81")
    assert settled.message == "a new version warms up; measured, not judged: 0.81 < 0.90"
    assert letters(after) == "PPPPB"


@pytest.mark.parametrize("measured", [BAD, GOOD, NO_DATA, ERROR], ids=lambda m: m.verdict.value)
def test_an_answered_breach_stays_answered_while_it_settles(measured):
    after = settle_through(
        make_trigger(onNoData="Breach", onError="Breach"), breached(consumed_by="r", episode=0), measured, 1
    )

    assert (after.state, after.open, after.consumed_by) == ("Settling", True, "r")


def test_a_new_episode_forgets_the_breach_of_the_old_version():
    trigger = make_trigger(**FOR_1M)
    old = replace(play(trigger, "bbbbbb")[-1], consumed_by="recommender-1a2b3c4d5e")

    new = play(trigger, "bbbbb", old, start=6, episode=1)

    assert letters(new) == "PPPPB"
    assert [m.consumed_by for m in new] == [""] * 5


@pytest.mark.parametrize("consumed_by", ["", "recommender-1a2b3c4d5e"], ids=["unanswered", "answered"])
def test_a_clock_that_jumps_back_restarts_the_count_and_forgets_no_breach(consumed_by):
    trigger = make_trigger(**FOR_1M)
    pending, *_, fired = play(trigger, "bbbbb", start=1000)
    fired = replace(fired, consumed_by=consumed_by)

    assert letters(play(trigger, "bbbbb", pending)) == "PPPPB"
    again = play(trigger, "-b", fired)
    assert letters(again) == "NB"
    assert [m.consumed_by for m in again] == [consumed_by] * 2


def test_the_same_tick_twice_counts_once():
    trigger = make_trigger(consecutive=2)
    once = advance(trigger, None, BAD, now=NOW, interval=INTERVAL)

    twice = advance(trigger, once, BAD, now=NOW, interval=INTERVAL)

    assert (twice.state, twice.streak) == ("Pending", 1)


def test_a_healthy_tick_ends_what_was_consumed():
    memory = breached(consumed_by="recommender-1a2b3c4d5e")

    after = advance(make_trigger(), memory, GOOD, now=at(15), interval=INTERVAL)

    assert (after.consumed_by, after.open, after.breaching_since) == ("", False, None)


def written(state, *, since=None, pending_since=None, consumed_by=""):
    return TriggerStatus(
        name="accuracy",
        state=state,
        observed_at=NOW,
        since=NOW,
        breaching_since=since,
        pending_since=pending_since,
        consumed_by=consumed_by,
        episode=7,
        message="as written",
    )


RESTORED = {
    "a breach stays open": (written("Breached", since=NOW), "Breached", True),
    "an answered breach stays open and answered": (
        written("Breached", since=NOW, consumed_by="r"),
        "Breached",
        True,
    ),
    "a breach that could not be measured stays open": (written("NoData", since=NOW), "NoData", True),
    "an answered one that could not be measured too": (
        written("Error", since=NOW, consumed_by="r"),
        "Error",
        True,
    ),
    "one answered before its state was written stays answered": (
        written("Pending", since=NOW, consumed_by="r"),
        "Healthy",
        True,
    ),
    "a running clock starts anew": (written("Pending", since=NOW), "Healthy", False),
    "a held clock starts anew": (written("NoData", pending_since=NOW), "NoData", False),
    "healthy is healthy": (written("Healthy"), "Healthy", False),
    "no data is no breach": (written("NoData"), "NoData", False),
}


@pytest.mark.parametrize("case", RESTORED)
def test_what_is_left_after_a_restart(case):
    status, state, is_open = RESTORED[case]

    memory = restore(status, at(60))

    assert (memory.state, memory.open, memory.consumed_by) == (state, is_open, status.consumed_by)
    assert memory.breaching_since == (status.breaching_since or status.pending_since), "so it can be rebuilt"
    assert (memory.clock, memory.streak, memory.episode) == (timedelta(0), 0, 7)


def test_after_a_restart_a_running_for_needs_its_whole_time_again():
    trigger = make_trigger(**FOR_1M)

    after = play(trigger, "bbbbb", restore(written("Pending", since=NOW), at(60)), start=5, episode=7)

    assert letters(after) == "PPPPB"


def evidence(trigger="accuracy", observed_at=NOW):
    return Evidence(
        trigger=trigger,
        query="q",
        operator="LessThan",
        threshold="0.90",
        value="0.81",
        observed_at=observed_at,
        breaching_since=at(-120),
    )


CONSUMED = {
    "the breach that is open": (breached(), "r"),
    "an open breach that cannot be measured now": (breached(state="NoData"), "r"),
    "a breach that a crash made this process forget": (healthy(judged_at=None), "r"),
    "not one that has ended by a healthy measurement": (healthy(), ""),
}


@pytest.mark.parametrize("case", CONSUMED)
def test_which_breach_a_rollback_consumes(case):
    memory, by = CONSUMED[case]

    after = consume({"accuracy": memory, "latency": breached(), "errors": healthy()}, [evidence()], "r")

    assert after["accuracy"].consumed_by == by
    assert after["accuracy"].open == bool(by)
    assert after["latency"].consumed_by == "r", "a breach that came while it ran is the same incident"
    assert after["errors"].consumed_by == ""


def test_an_answered_breach_survives_a_gap_longer_than_max_hold():
    trigger = make_trigger(**{"for": "1m", "maxHold": "30s"})
    answered = replace(play(trigger, "bbbbb")[-1], consumed_by="r")

    after = play(trigger, "-b", answered, start=100)

    assert letters(after) == "NB"
    assert [m.consumed_by for m in after] == ["r", "r"]


def test_an_edited_trigger_forgets_its_clock_and_no_breach():
    running, fired = play(make_trigger(**FOR_1M), "bbb")[-1], breached(consumed_by="r")

    assert (forget_clock(running).clock, forget_clock(running).streak) == (timedelta(0), 0)
    assert (forget_clock(fired).open, forget_clock(fired).consumed_by) == (True, "r")
    assert forget_clock(fired).measurement is None


def test_a_breach_is_marked_in_the_written_status_unless_it_ended_after_the_evidence():
    since_then = written("Healthy").model_copy(update={"observed_at": at(30)})

    marked, open_too, never = consume_written(
        [
            written("Breached", since=NOW),
            written("Breached", since=NOW).model_copy(update={"name": "latency"}),
            written("Healthy").model_copy(update={"name": "errors"}),
        ],
        [evidence()],
        "r",
        episode=7,
    )

    assert (marked.consumed_by, open_too.consumed_by, never.consumed_by) == ("r", "r", "")
    assert consume_written([since_then], [evidence()], "r", episode=7) == (since_then,)
    (filled,) = consume_written([written("NoData")], [evidence()], "r", episode=7)
    assert (filled.consumed_by, filled.breaching_since) == ("r", at(-120))


def test_a_breach_that_was_never_written_is_written_as_answered():
    (made,) = consume_written([], [evidence()], "r", episode=7)

    after = play(make_trigger(), "bb", restore(made, NOW), start=1, episode=7)

    assert (made.state, made.consumed_by, made.episode) == ("Breached", "r", 7)
    assert [m.consumed_by for m in after] == ["r", "r"], "the same breach has had its Rollback"


def test_a_restart_after_consuming_does_not_open_the_breach_again():
    (marked,) = consume_written([written("Breached", since=NOW)], [evidence()], "r", episode=7)

    after = play(make_trigger(), "-b", restore(marked, NOW), start=1, episode=7)

    assert [m.consumed_by for m in after] == ["r", "r"]


@pytest.mark.parametrize("measured", [BAD, GOOD, NO_DATA, ERROR], ids=lambda m: m.verdict.value)
def test_without_other_words_of_the_policy_the_verdict_is_the_measurements_own(measured):
    assert judge(make_trigger(), measured) is measured.verdict
