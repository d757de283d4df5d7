"""What triggers ask: questions are values, so that many policies share one request."""

from datetime import timedelta

import pytest

from model_rollback.api.v1alpha1.trigger import TriggerSpec
from model_rollback.core.presets import resolve_trigger
from model_rollback.core.questions import ALERT_RULES, Question, needs_target, questions_of
from tests.unit.core.builders import NOW, at, make_trigger


def test_a_question_is_asked_at_the_tick_or_before_it_or_at_a_moment_of_its_own():
    assert Question("up").moment(NOW) == NOW
    assert Question("up", timedelta(seconds=30)).moment(NOW) == at(-30)
    assert Question("up", at(-7)).moment(NOW) == at(-7)


FULL = {
    "query": 'sum by (model) (rate(errors{env="prod"}[5m] offset 1m)) / sum by (model) (requests)',
    "series": {"model": "a", "env": "prod"},
    "maxSampleAge": "2m",
    "traffic": {"query": "traffic", "atLeast": "1"},
    "breach": {"operator": "DropsBy", "threshold": "10%", "baseline": {"query": "champion"}},
}


def test_a_trigger_asks_for_its_value_the_age_of_each_selector_its_traffic_and_its_baseline():
    assert [q.text for q in questions_of(make_trigger(**FULL))] == [
        FULL["query"],
        'max by (env, model) (timestamp(errors{env="prod"}))',
        "max by (env, model) (timestamp(requests))",
        "traffic",
        "champion",
    ]


@pytest.mark.parametrize(
    ("fields", "runs", "asked"),
    [
        ({}, True, False),
        ({"for": "1m"}, False, False),
        ({"for": "1m"}, True, True),
        ({"consecutive": 2}, True, True),
        ({"maxSampleAge": "2m"}, False, True),
        ({"query": "vector(1)", "for": "1m"}, True, False),
    ],
    ids=["fires at once", "idle", "a clock runs", "a count runs", "a limit is given", "no selector"],
)
def test_ages_are_asked_only_while_they_matter(fields, runs, asked):
    assert bool(questions_of(make_trigger(**fields), clock_runs=runs).ages) is asked


BASELINES = {
    "offset": ({"offset": "24h"}, Question("q", timedelta(hours=24))),
    "version": ({"version": "Target"}, Question("q", at(-7))),
    "query": ({"query": "champion"}, Question("champion")),
}


@pytest.mark.parametrize("kind", BASELINES)
def test_the_baseline_is_a_question_of_its_own(kind):
    baseline, question = BASELINES[kind]
    trigger = make_trigger(
        query="q", breach={"operator": "DropsBy", "threshold": "10%", "baseline": baseline}
    )

    assert questions_of(trigger, target_seen=at(-7)).baseline == question
    assert needs_target(trigger) is (kind == "version")


def alert(name, service):
    given = {"name": "slo", "for": "1m", "alert": {"name": name, "labels": {"service": service}}}
    return resolve_trigger(TriggerSpec.model_validate(given))


def test_all_alerts_of_a_source_are_one_question():
    asked = {q for t in (alert("A", "x"), alert("B", "y")) for q in questions_of(t, clock_runs=True)}

    assert asked == {Question('ALERTS{alertstate="firing"}'), ALERT_RULES}


def test_without_a_target_there_is_no_baseline_to_ask_for():
    breach = {"operator": "DropsBy", "threshold": "10%", "baseline": {"version": "Target"}}

    assert questions_of(make_trigger(breach=breach)).baseline is None


def test_triggers_of_one_query_text_ask_one_question():
    ours, theirs = make_trigger(series={"model": "a"}), make_trigger("other", series={"model": "b"})

    assert len({*questions_of(ours), *questions_of(theirs)}) == 1
