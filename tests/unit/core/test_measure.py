"""The rows of "One measurement": what an answer says, and that not knowing is never bad."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.api.v1alpha1.trigger import TriggerSpec
from model_rollback.core.comparison import in_words, is_breaching, show_value
from model_rollback.core.measure import Verdict
from model_rollback.core.presets import resolve_trigger
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample
from tests.unit.core.builders import NOW, answer, at, make_trigger, measure_from

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


REFUSED = MetricsError("timeout", "no answer within 5s")
H, B, N, S, L, E = (
    Verdict.HEALTHY,
    Verdict.BREACHING,
    Verdict.NO_DATA,
    Verdict.STALE,
    Verdict.LOW_TRAFFIC,
    Verdict.ERROR,
)


def reduced(how, **fields):
    return make_trigger(reduce=how, **fields)


REDUCTIONS = {
    "Any: one bad of three": ("Any", answer(0.95, 0.8, 0.85), B, "0.8"),
    "All: one bad of three": ("All", answer(0.95, 0.8, 0.85), H, "0.95"),
    "All: three bad of three": ("All", answer(0.7, 0.8, 0.85), B, "0.7"),
    "All: NaN beside bad ones is left out": ("All", answer(0.7, NAN, 0.85), B, "0.7"),
    "Max: the largest is good": ("Max", answer(0.95, 0.8, 0.1), H, "0.95"),
    "Max: the largest is bad": ("Max", answer(0.85, 0.8, 0.1), B, "0.85"),
    "Min: the smallest is bad": ("Min", answer(0.95, 0.8), B, "0.8"),
    "Avg: the mean is bad": ("Avg", answer(0.95, 0.75), B, "0.85"),
    "Avg: the mean is good": ("Avg", answer(0.95, 0.87), H, "0.91"),
    "Avg: NaN counts for nothing": ("Avg", answer(0.95, NAN), H, "0.95"),
    "Sum: the total is good": ("Sum", answer(0.5, 0.6), H, "1.1"),
    "Sum: the total is bad": ("Sum", answer(0.5, 0.1), B, "0.6"),
}


@pytest.mark.parametrize("row", REDUCTIONS)
def test_how_several_series_become_one_verdict(row):
    how, came, verdict, value = REDUCTIONS[row]

    measured = measure_from(reduced(how), came)

    assert (measured.verdict, measured.value) == (verdict, value)


def test_of_several_series_the_message_names_the_bad_one():
    measured = measure_from(make_trigger(), answer(0.95, 0.8, model="a"))

    assert measured.message == '0.8 < 0.90 at {i="1", model="a"}'


INFINITIES = {
    "infinity alone": (INF, {}, N),
    "infinity as a number, not less than 0.90": (INF, {"onInfinite": "Compare"}, H),
    "minus infinity as a number": (-INF, {"onInfinite": "Compare"}, B),
    "NaN is none, whatever onInfinite says": (NAN, {"onInfinite": "Compare"}, N),
}


@pytest.mark.parametrize("row", INFINITIES)
def test_infinities_measure_nothing_unless_the_policy_compares_them(row):
    value, fields, verdict = INFINITIES[row]

    assert measure_from(make_trigger(**fields), answer(value)).verdict is verdict


def test_a_sum_of_opposite_infinities_measures_nothing():
    measured = measure_from(reduced("Sum", onInfinite="Compare"), answer(INF, -INF))

    assert (measured.verdict, measured.message) == (N, "the Sum of the series is nan, which measures nothing")


def test_a_sum_too_large_for_a_number_is_infinite():
    huge = answer(1.7e308, 1.7e308)

    assert measure_from(reduced("Sum"), huge).verdict is N
    assert measure_from(reduced("Sum", onInfinite="Compare"), huge).verdict is H


TRAFFIC = {"query": "sum by (model) (rate(requests_total[5m]))", "series": {"model": "a"}, "atLeast": "5"}
MUCH, LITTLE = answer(3, 2, model="a"), answer(3, 1.9, model="a")
LITTLE_OF_MINE = Answer((*LITTLE.samples, Sample({"model": "b"}, 100)))
TRAFFICS = {
    "enough, added up over my series": (answer(0.8), MUCH, B, False),
    "too little": (answer(0.8), LITTLE, L, False),
    "too little of mine, much of others": (answer(0.8), LITTLE_OF_MINE, L, False),
    "none of mine": (answer(0.8), answer(100, model="b"), L, True),
    "no answer": (answer(0.8), answer(), L, True),
    "NaN": (answer(0.8), answer(NAN, model="a"), L, True),
    "an error": (answer(0.8), REFUSED, L, True),
    "too little, and no value either": (answer(), LITTLE, L, False),
    "too little, and an error for the value": (REFUSED, LITTLE, L, False),
    "enough, and an error for the value": (REFUSED, MUCH, E, True),
    "nothing answers: the error of the value says it": (REFUSED, REFUSED, E, True),
    "enough, and a good value": (answer(0.95), MUCH, H, False),
}  # fmt: skip


@pytest.mark.parametrize("row", TRAFFICS)
def test_nothing_is_judged_without_enough_traffic(row):
    came, traffic, verdict, blind = TRAFFICS[row]

    measured = measure_from(make_trigger(traffic=TRAFFIC), came, traffic=traffic)

    assert (measured.verdict, measured.blind) == (verdict, blind)


def test_too_little_traffic_says_how_little():
    measured = measure_from(make_trigger(traffic=TRAFFIC), answer(0.8), traffic=LITTLE)

    assert measured.message == "traffic of 4.9 is below 5: not judged"


def times(*ages, **labels):
    """Samples taken so many seconds before NOW."""
    return answer(*(NOW.timestamp() - age for age in ages), **labels)


AGED = {"maxSampleAge": "2m", "series": {"model": "a"}, "query": "errors / requests"}
BAD_VALUE = answer(0.8, model="a")
AGES = {
    "both fresh": ([times(30, model="a"), times(60, model="a")], B),
    "as old as allowed": ([times(120, model="a"), times(60, model="a")], B),
    "one too old": ([times(30, model="a"), times(120.001, model="a")], S),
    "the newest of mine counts": ([times(30, 500, model="a"), times(60, model="a")], B),
    "only others are fresh": ([times(30, model="b"), times(60, model="a")], N),
    "labels that a selector lacks are added by the query": ([times(30), times(60, model="a")], B),
    "no answer": ([answer(), times(60, model="a")], N),
    "an error": ([REFUSED, times(60, model="a")], E),
}


@pytest.mark.parametrize("row", AGES)
def test_a_value_that_rests_on_an_old_sample_is_stale(row):
    taken, verdict = AGES[row]

    assert measure_from(make_trigger(**AGED), BAD_VALUE, taken=taken).verdict is verdict


def test_a_stale_value_says_how_old_it_is():
    measured = measure_from(
        make_trigger(**AGED), BAD_VALUE, taken=[times(30, model="a"), times(150, model="a")]
    )

    assert measured.message == "the newest sample is 2m30s old, more than 2m"
    assert measured.value == "0.8"


@pytest.mark.parametrize("came", [answer(), REFUSED], ids=["no answer", "an error"])
def test_without_a_limit_an_unknown_age_is_no_obstacle(came):
    trigger = make_trigger(**{"for": "1m", "query": "errors / requests"})

    measured = measure_from(trigger, answer(0.8), taken=[came, times(7)])

    assert (measured.verdict, measured.taken_at) == (B, (NOW.timestamp() - 7,))


DROP = {"operator": "DropsBy", "threshold": "10%", "baseline": {"offset": "24h"}}
RISE = {"operator": "RisesBy", "threshold": "0.05", "baseline": {"query": "champion"}}
RELATIVES = {
    "dropped by exactly the share": (DROP, answer(0.9), answer(1.0), B, "0.9 drops by 10% from 1"),
    "dropped by less": (DROP, answer(0.901), answer(1.0), H, "0.901 is no breach: drops by 10% from 1"),
    "risen": (DROP, answer(2.0), answer(1.0), H, ""),
    "a share of a negative baseline": (DROP, answer(-1.1), answer(-1.0), B, ""),
    "risen by exactly the amount": (RISE, answer(0.25), answer(0.2), B, "0.25 rises by 0.05 from 0.2"),
    "risen by less": (RISE, answer(0.2499), answer(0.2), H, ""),
    "no baseline": (DROP, answer(0.1), answer(), N, "there is no baseline to compare with, or it is zero"),
    "a baseline of zero": (DROP, answer(-5), answer(0.0), N, "or it is zero"),
    "a baseline of zero for an amount": (RISE, answer(5), answer(0.0), N, "or it is zero"),
    "a baseline of NaN": (DROP, answer(0.1), answer(NAN), N, ""),
    "an infinite baseline": (DROP, answer(0.1), answer(INF), N, ""),
    "an error": (DROP, answer(0.1), REFUSED, E, "could not measure the baseline (timeout): no answer"),
    "each series beside its own": (DROP, answer(0.5, 1.0), answer(0.5, 2.0), B, '1 drops by 10% from 2 at {i="1"}'),
    "a series without a baseline of its own is left out": (DROP, answer(1.0, 1.0, 0.1), answer(1.0, 1.0), H, ""),
    "all beside the only one": (RISE, answer(0.2, 0.3), answer(0.2), B, '0.3 rises by 0.05 from 0.2 at {i="1"}'),
}  # fmt: skip


@pytest.mark.parametrize("row", RELATIVES)
def test_a_relative_breach_compares_with_its_baseline(row):
    breach, came, baseline, verdict, says = RELATIVES[row]

    measured = measure_from(make_trigger(breach=breach), came, baseline=baseline)

    assert measured.verdict is verdict
    assert says in measured.message


def test_reduced_values_are_compared_with_the_reduced_baseline():
    trigger = reduced("Avg", breach=DROP)

    measured = measure_from(trigger, answer(0.5, 0.9, pod="new"), baseline=answer(1.0, 0.8, 0.9))

    assert (measured.verdict, measured.value, measured.baseline) == (B, "0.7", "0.9")


def test_without_a_target_that_was_live_there_is_no_baseline():
    trigger = make_trigger(breach={**DROP, "baseline": {"version": "Target"}})

    assert measure_from(trigger, answer(0.1)).verdict is N
    assert measure_from(trigger, answer(0.1), baseline=answer(1), target_seen=at(-3600)).verdict is B


RECOVERIES = {
    "LessThan": ("0.90", "0.93", [0.9, 0.93], [0.94]),
    "LessThanOrEqual": ("0.90", "0.93", [0.91, 0.93], [0.94]),
    "GreaterThan": ("0.4", "0.3", [0.4, 0.3], [0.29]),
    "GreaterThanOrEqual": ("0.4", "0.3", [0.39, 0.3], [0.29]),
    "Outside": ("0.8..1.2", "0.9..1.1", [0.8, 0.9, 1.1, 1.2], [1.0]),
    "Inside": ("0.8..1.2", "0.7..1.3", [0.7, 0.79, 1.3], [0.69, 1.31]),
    "DropsBy": ("10%", "5%", [0.91, 0.95], [0.96, 1.5]),
    "RisesBy": ("0.2", "0.1", [1.19, 1.1], [1.09, 0.5]),
}


@pytest.mark.parametrize("operator", RECOVERIES)
def test_a_breach_ends_only_beyond_where_it_recovers(operator):
    threshold, recover_at, near, beyond = RECOVERIES[operator]
    baseline = {"baseline": {"offset": "1h"}} if operator in ("DropsBy", "RisesBy") else {}
    breach = {"operator": operator, "threshold": threshold, **baseline}
    trigger = make_trigger(breach=breach, recoverAt=recover_at)

    measured = [measure_from(trigger, answer(v), baseline=answer(1.0)) for v in (*near, *beyond)]

    assert {m.verdict for m in measured} == {H}
    assert [bool(m.recovering) for m in measured] == [True] * len(near) + [False] * len(beyond)


ALERT = resolve_trigger(
    TriggerSpec.model_validate({"name": "slo", "alert": {"name": "SLOBurn", "labels": {"service": "shop"}}})
)


def alerts(name, **labels):
    return answer(1.0, alertname=name, alertstate="firing", **labels)


def rules(*names, health="ok"):
    return Answer(tuple(Sample({"alertname": n, "health": health}, 1.0) for n in names))


ALERTS = {
    "it fires": (alerts("SLOBurn", service="shop"), rules("SLOBurn"), B, "alert SLOBurn is firing"),
    "it fires, the rules cannot be listed": (alerts("SLOBurn", service="shop"), REFUSED, B, "is firing"),
    "nothing fires": (answer(), rules("Other", "SLOBurn"), H, "alert SLOBurn is not firing"),
    "it fires for another service": (alerts("SLOBurn", service="bank"), rules("SLOBurn"), H, "is not firing"),
    "another alert fires": (alerts("Other", service="shop"), rules("SLOBurn"), H, "is not firing"),
    "there is no such rule": (answer(), rules("Other"), N, "the metrics source has no alerting rule SLOBurn"),
    "its rule fails": (answer(), rules("SLOBurn", health="err"), N, "is not evaluated: its health is err"),
    "its rule was not evaluated yet": (answer(), rules("SLOBurn", health="unknown"), N, "health is unknown"),
    "the rules cannot be listed": (answer(), REFUSED, E, "the rules could not be listed (timeout)"),
    "nothing answers": (REFUSED, REFUSED, E, "could not measure (timeout)"),
}


@pytest.mark.parametrize("row", ALERTS)
def test_an_alert_is_bad_while_it_fires_and_good_only_where_its_rule_is_evaluated(row):
    firing, listed, verdict, says = ALERTS[row]

    measured = measure_from(ALERT, firing, rules=listed)

    assert measured.verdict is verdict
    assert says in measured.message


def test_warnings_and_infos_of_every_answer_are_kept():
    noted = Answer(BAD_VALUE.samples, warnings=("1 of 3 stores did not answer",), infos=("not a counter",))

    measured = measure_from(make_trigger(traffic=TRAFFIC), noted, traffic=MUCH)

    assert measured.notes == ("warning: 1 of 3 stores did not answer", "info: not a counter")


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
