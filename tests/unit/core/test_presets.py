"""Trigger presets: what a trigger that names one is, once it is looked up; what is wrong with others."""

import pytest

from model_rollback.api.v1alpha1 import RollbackPolicySpec
from model_rollback.api.v1alpha1.breach import Breach
from model_rollback.api.v1alpha1.trigger import Trigger, TriggerSpec
from model_rollback.core.presets import problems_of, resolve_policy, resolve_trigger
from model_rollback.core.promql import find_fault
from model_rollback.presets import trigger_presets
from tests.unit.core.builders import seconds

ABOVE = {"operator": "GreaterThan", "threshold": "0.4"}


def written(**fields):
    return TriggerSpec.model_validate({"name": "t", **fields})


def policy(*triggers):
    return RollbackPolicySpec.model_validate(
        {"modelDeploymentRef": {"name": "recommender"}, "triggers": list(triggers)}
    )


@pytest.mark.parametrize("name", trigger_presets())
def test_every_preset_can_be_asked_and_its_answer_tells_models_apart(name):
    preset = trigger_presets()[name]

    trigger = resolve_trigger(written(preset=name, breach=ABOVE))

    assert find_fault(trigger.query) is None
    assert "{window}" not in trigger.query
    for label in preset.series:
        assert label in trigger.query, f"by () drops {label}, so `series` cannot name it"


def test_a_trigger_that_says_everything_keeps_what_it_says():
    trigger = resolve_trigger(
        written(preset="KServeErrors", breach=ABOVE, window="90s", type="Custom", **{"for": "1m"})
    )

    assert (trigger.preset, trigger.type, trigger.for_) == ("KServeErrors", "Custom", seconds(60))
    assert trigger.breach == Breach.model_validate(ABOVE)
    assert "[1m30s]" in trigger.query
    assert "[5m]" not in trigger.query


def test_what_a_trigger_leaves_out_its_preset_says():
    trigger = resolve_trigger(written(preset="KServeErrors", series={"kn_service_name": "a"}))

    assert (trigger.type, trigger.for_, trigger.breach.threshold) == ("Errors", seconds(120), "0.05")
    assert "[5m]" in trigger.query
    assert trigger.series == {"kn_service_name": "a"}


def test_for_0s_is_said_too():
    assert resolve_trigger(written(preset="KServeErrors", **{"for": "0s"})).for_ == seconds(0)


def test_a_trigger_with_a_query_gets_the_static_defaults():
    trigger = resolve_trigger(written(query="up", breach=ABOVE))

    assert (trigger.query, trigger.type, trigger.for_, trigger.preset) == ("up", "Custom", seconds(0), None)


def test_a_resolved_trigger_survives_the_way_through_json():
    trigger = resolve_trigger(written(preset="KServeErrors"))

    assert (
        Trigger.model_validate(trigger.model_dump(mode="json", by_alias=True, exclude_none=True)) == trigger
    )


def test_policies_that_name_one_preset_ask_one_query():
    a, b = (resolve_trigger(written(preset="KServeErrors", series={"kn_service_name": n})) for n in "ab")

    assert a.query == b.query


def test_a_policy_is_resolved_and_the_rest_of_it_stays():
    spec = policy({"name": "t", "preset": "KServeErrors"}, {"name": "u", "query": "up", "breach": ABOVE})

    resolved = resolve_policy(spec)

    assert [t.name for t in resolved.triggers] == ["t", "u"]
    assert resolved.model_dump(exclude={"triggers"}) == spec.model_dump(exclude={"triggers"})


BAD = {
    "a mistyped preset": (
        {"preset": "KServeLatencyP59", "breach": ABOVE},
        "trigger 't': spec.triggers.0.preset is 'KServeLatencyP59', and there is no such preset; "
        "did you mean KServeLatencyP95?",
    ),
    "a preset that is like none": (
        {"preset": "Zzz", "breach": ABOVE},
        "trigger 't': spec.triggers.0.preset is 'Zzz', and there is no such preset; there are: KServeErrors, ",
    ),
    "a preset without a default for breach": (
        {"preset": "KServeLatencyP95"},
        "trigger 't': spec.triggers.0.breach is missing, and preset KServeLatencyP95 has no default for it; "
        "say which values are bad: it measures the 95th percentile",
    ),
    "a window where there is none": (
        {"preset": "TrustyAIMeanShift", "window": "5m"},
        "trigger 't': spec.triggers.0.window is given, but the query of preset TrustyAIMeanShift has no range window",
    ),
    "a recoverAt on the wrong side of the preset's breach": (
        {"preset": "KServeErrors", "recoverAt": "0.5"},
        "trigger 't': spec.triggers.0.recoverAt does not fit the preset's breach: recoverAt '0.5'",
    ),
    "a traffic query that does not parse": (
        {"query": "up", "breach": ABOVE, "traffic": {"query": "rate(x)", "atLeast": "1"}},
        "trigger 't': spec.triggers.0.traffic.query is not valid PromQL: expected type matrix",
    ),
    "a baseline that does not parse": (
        {
            "query": "up",
            "breach": {"operator": "DropsBy", "threshold": "10%", "baseline": {"query": "up)"}},
        },
        "trigger 't': spec.triggers.0.breach.baseline.query is not valid PromQL: unexpected right parenthesis",
    ),
    "a query that does not parse": (
        {"query": "sum(rate(x[5m])", "breach": ABOVE},
        "trigger 't': spec.triggers.0.query is not valid PromQL: unclosed left parenthesis (line 1, column 4)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_measurement_is_told_with_its_field(case):
    fields, words = BAD[case]

    with pytest.raises(ValueError, match="trigger 't'") as caught:
        resolve_policy(policy({"name": "t", **fields}))

    assert str(caught.value).startswith(words)


def test_lint_hears_of_every_problem():
    spec = policy(
        {"name": "a", "preset": "Nope", "breach": ABOVE}, {"name": "b", "query": "up[5m]", "breach": ABOVE}
    )

    assert [p.path for p in problems_of(spec)] == [("triggers", 0, "preset"), ("triggers", 1, "query")]


def test_the_query_of_a_metric_probe_is_checked_too():
    spec = policy({"name": "t", "query": "up", "breach": ABOVE})
    probe = {"name": "p", "metric": {"query": "sum(", "breach": ABOVE}}
    fields = spec.model_dump(by_alias=True, exclude_none=True) | {"validation": {"probes": [probe]}}

    with pytest.raises(ValueError, match=r"^spec\.validation\.probes\.0\.metric\.query is not valid PromQL"):
        resolve_policy(type(spec).model_validate(fields))
