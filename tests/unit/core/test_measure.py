"""The rows of "One measurement": what an answer says, and that not knowing is never bad."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.core.measure import Verdict, in_words, is_breaching, show_value
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample
from tests.unit.core.builders import answer, make_trigger, measure_from

NAN, INF = math.nan, math.inf
ROWS = [
    ("one good series", answer(0.95), Verdict.HEALTHY, "0.95", "0.95 is not < 0.90"),
    ("one bad series", answer(0.81), Verdict.BREACHING, "0.81", "0.81 < 0.90"),
    ("one bad series among good ones", answer(0.95, 0.81, 0.97), Verdict.BREACHING, "0.81", "0.81 < 0.90"),
    (
        "a scalar: one value without labels",
        Answer((Sample({}, 0.5),)),
        Verdict.BREACHING,
        "0.5",
        "0.5 < 0.90",
    ),
    ("the threshold itself", answer(0.9), Verdict.HEALTHY, "0.9", "0.9 is not < 0.90"),
    ("NaN alone", answer(NAN), Verdict.NO_DATA, "", '{i="0"} is nan, which measures nothing'),
    ("NaN in every series", answer(NAN, NAN), Verdict.NO_DATA, "", "nan"),
    (
        "NaN beside a good series",
        answer(NAN, 0.95),
        Verdict.HEALTHY,
        "0.95",
        "(1 of 2 series are NaN or infinite",
    ),
    ("NaN beside a bad series", answer(0.81, NAN, NAN), Verdict.BREACHING, "0.81", "(2 of 3 series are NaN"),
    ("infinity alone", answer(INF), Verdict.NO_DATA, "", "inf"),
    ("minus infinity, which is less than 0.90", answer(-INF), Verdict.NO_DATA, "", "-inf"),
    ("minus infinity beside a good series", answer(-INF, 0.95), Verdict.HEALTHY, "0.95", "left out"),
    ("an empty vector", answer(), Verdict.NO_DATA, "", "the query returns no series"),
    (
        "a time-out",
        MetricsError("timeout", "no answer within 5s"),
        Verdict.ERROR,
        "",
        "(timeout): no answer within 5s",
    ),
    ("a partial answer", MetricsError("partial", "store down"), Verdict.ERROR, "", "(partial): store down"),
]


@pytest.mark.parametrize(
    ("came", "verdict", "value", "says"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_what_an_answer_says(came, verdict, value, says):
    measured = measure_from(make_trigger(), came)

    assert (measured.verdict, measured.value) == (verdict, value)
    assert says in measured.message


def test_only_my_series_are_judged():
    trigger = make_trigger(series={"model": "recommender"})
    both = Answer((Sample({"model": "ranker"}, 0.1), Sample({"model": "recommender", "pod": "a"}, 0.95)))

    measured = measure_from(trigger, both)

    assert measured.verdict is Verdict.HEALTHY
    assert [s.labels["model"] for s in measured.samples] == ["recommender"]


def test_no_series_with_my_labels_is_no_data_and_says_which_labels_were_wanted():
    trigger = make_trigger(series={"model": "recommender", "env": "prod"})

    measured = measure_from(trigger, answer(0.1, 0.2, model="ranker"))

    assert measured.verdict is Verdict.NO_DATA
    assert measured.message == 'none of the 2 series of the answer has {env="prod", model="recommender"}'


COMPARISONS = {
    "LessThan": ("1", [0.99], [1, 1.01]),
    "LessThanOrEqual": ("1", [0.99, 1], [1.01]),
    "GreaterThan": ("1", [1.01], [1, 0.99]),
    "GreaterThanOrEqual": ("1", [1.01, 1], [0.99]),
    "Equal": ("1", [1], [0.99, 1.01]),
    "NotEqual": ("1", [0.99, 1.01], [1]),
    "Outside": ("0.8..1.2", [0.79, 1.21], [0.8, 1, 1.2]),
    "Inside": ("0.8..1.2", [0.8, 1, 1.2], [0.79, 1.21]),
}


@pytest.mark.parametrize("operator", COMPARISONS)
def test_each_operator_at_and_beside_its_threshold(operator):
    threshold, bad, good = COMPARISONS[operator]
    breach = make_trigger(breach={"operator": operator, "threshold": threshold}).breach

    assert [is_breaching(breach, value) for value in bad] == [True] * len(bad)
    assert [is_breaching(breach, value) for value in good] == [False] * len(good)


@pytest.mark.parametrize(
    ("operator", "threshold", "words"),
    [
        ("LessThan", "0.90", "< 0.90"),
        ("GreaterThanOrEqual", "1e-3", ">= 1e-3"),
        ("Outside", "0.8..1.2", "outside 0.8..1.2"),
    ],
)
def test_a_breach_in_words_keeps_the_threshold_as_written(operator, threshold, words):
    assert in_words(make_trigger(breach={"operator": operator, "threshold": threshold}).breach) == words


def test_values_are_shown_with_six_digits_and_no_noise():
    assert [show_value(v) for v in (0.1 + 0.2, 0.81, 1234567.0, 5.0)] == ["0.3", "0.81", "1.23457e+06", "5"]


samples = st.lists(
    st.builds(
        Sample, st.dictionaries(st.sampled_from(["model", "pod"]), st.sampled_from(["a", "b"])), st.floats()
    )
)


@given(samples, st.sampled_from(sorted(COMPARISONS)))
def test_a_breach_always_rests_on_a_finite_value_of_my_own_series(series, operator):
    trigger = make_trigger(
        series={"model": "a"}, breach={"operator": operator, "threshold": COMPARISONS[operator][0]}
    )

    measured = measure_from(trigger, Answer(tuple(series)))

    finite = [s for s in series if s.labels.get("model") == "a" and math.isfinite(s.value)]
    bad = [s for s in finite if is_breaching(trigger.breach, s.value)]
    assert (measured.verdict is Verdict.BREACHING) == bool(bad)
    assert (measured.verdict is Verdict.NO_DATA) == (not finite)
