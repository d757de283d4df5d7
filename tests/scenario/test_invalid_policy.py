"""A policy that makes no sense says what to mend, hurts no other, and recovers when it is mended."""

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, World, is_

pytestmark = pytest.mark.cluster


def test_promql_that_does_not_parse(protected: World) -> None:
    broken = systems.policy(protected.namespace, "broken")
    broken["spec"]["triggers"][0]["query"] = "model_quality{"
    protected.apply(broken)

    stalled = protected.wait_for_condition("rollbackpolicy", "Stalled", is_("True", "InvalidSpec"), "broken")
    assert (
        "spec.triggers.0.query is not valid PromQL: unexpected end of input inside braces"
        in stalled["message"]
    )
    assert protected.condition("rollbackpolicy", "Ready", "broken")["reason"] == "InvalidSpec"
    assert protected.condition("rollbackpolicy", "Armed", "broken")["reason"] == "InvalidSpec"
    assert protected.wait_for_event("InvalidSpec")[0]["regarding"]["name"] == "broken"
    assert protected.condition("rollbackpolicy", "Ready")["status"] == "True"

    protected.apply(systems.policy(protected.namespace, "broken", mode="Suspended"))
    protected.wait_for_condition("rollbackpolicy", "Ready", is_("True"), "broken")
    protected.wait_for_condition("rollbackpolicy", "MetricsAvailable", is_("True"), "broken")
    assert protected.condition("rollbackpolicy", "Stalled", "broken") == {}

    protected.apply(broken)
    protected.wait_for_condition("rollbackpolicy", "Stalled", is_("True"), "broken")
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    protected.wait_for_image("v12")
    assert protected.rollback()["spec"]["policyRef"]["name"] == "recommender"
