"""The quick look may only pass over what a full look would find healthy, and remembers it as the full look would."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from model_rollback.core.calm import is_calm, is_plain, is_settled
from model_rollback.core.measure import Verdict, measure
from model_rollback.core.questions import questions_of
from model_rollback.core.triggers import advance
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample
from tests.unit.core.builders import INTERVAL, at, make_trigger

VALUES = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0.85, 0.95))
SAMPLES = st.builds(
    lambda model, zone, value: Sample({"model": model, **({"zone": zone} if zone else {})}, value),
    st.sampled_from(["mine", "other"]),
    st.sampled_from(["", "a", "b"]),
    VALUES,
)
ANSWERS = st.one_of(
    st.just(MetricsError("timeout", "it took too long")),
    st.builds(
        Answer,
        st.lists(SAMPLES, max_size=4).map(tuple),
        st.sampled_from([(), ("partial",)]),
    ),
)
TRIGGERS = st.builds(
    lambda series, for_, operator, recover, infinite: make_trigger(
        series=series,
        breach={"operator": operator, "threshold": "0.90"},
        onInfinite=infinite,
        **({"for": for_} if for_ else {}),
        **({"recoverAt": recover} if recover else {}),
    ),
    st.sampled_from([{}, {"model": "mine"}, {"model": "mine", "zone": "a"}]),
    st.sampled_from(["", "30s"]),
    st.sampled_from(["LessThan", "LessThanOrEqual"]),
    st.sampled_from(["", "0.93"]),
    st.sampled_from(["NoData", "Compare"]),
)


@given(trigger=TRIGGERS, came=ANSWERS)
def test_what_is_passed_over_is_healthy_by_the_full_look(trigger, came) -> None:
    assert is_plain(trigger)
    questions = questions_of(trigger)
    answers = {questions.value: came}
    good = {questions.value: Answer((Sample({"model": "mine", "zone": "a"}, 0.97),))}
    memory = advance(
        trigger, None, measure(trigger, questions, good, now=at(0)), now=at(0), interval=INTERVAL
    )
    assert is_settled(memory)

    full = measure(trigger, questions, answers, now=at(15))
    after = advance(trigger, memory, full, now=at(15), interval=INTERVAL)
    if is_calm(trigger, questions, answers):
        assert full.verdict is Verdict.HEALTHY
        assert is_settled(after)
        passed_over = replace(memory, observed_at=at(15), judged_at=at(15))
        same = {"value": "", "message": "", "measurement": None}
        assert replace(after, **same) == replace(passed_over, **same)


def test_a_healthy_fleet_is_passed_over() -> None:
    trigger = make_trigger(series={"model": "mine"})
    questions = questions_of(trigger)
    came = Answer((Sample({"model": "mine"}, 0.97), Sample({"model": "other"}, math.nan)))
    assert is_calm(trigger, questions, {questions.value: came})


@given(
    samples=st.lists(SAMPLES, max_size=8).map(tuple),
    series=st.dictionaries(st.sampled_from(["model", "zone", "city"]), st.sampled_from(["mine", "a", ""])),
)
def test_sorting_the_samples_by_labels_finds_what_looking_at_each_finds(samples, series) -> None:
    came = Answer(samples)
    by_hand = tuple(s for s in samples if series.items() <= s.labels.items())
    assert list(map(id, came.matching(series))) == list(map(id, by_hand))
    assert list(map(id, came.matching(series))) == list(map(id, by_hand))
