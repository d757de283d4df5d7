"""Observe decides and writes nothing; Suspended starts nothing."""

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, World, is_
from tests.support.audit import Audit
from tests.support.operator import OperatorProcess, Operators

pytestmark = pytest.mark.cluster


def test_observe_and_suspended_write_nothing_and_observe_says_once_what_it_would_have_done(
    protected: World, operator: OperatorProcess, operators: Operators, audit: Audit
) -> None:
    protected.patch("rollbackpolicy", {"mode": "Observe"})
    protected.apply(systems.policy(protected.namespace, "resting", mode="Suspended"))
    protected.deploy("v13")
    protected.wait_for_record("v13")
    mark = audit.mark()
    protected.quality(BAD)

    condition = protected.wait_for_condition("rollbackpolicy", "Breached", is_("True", "WouldRollBack"))
    assert "0.62 < 0.90" in condition["message"]
    protected.wait_for_condition("rollbackpolicy", "Breached", is_("True", "ThresholdExceeded"), "resting")
    assert protected.condition("rollbackpolicy", "Armed", "resting")["reason"] == "Suspended"
    protected.wait_until_told("WouldRollBack", "ModelDeployment", "RollbackPolicy")
    protected.wait_for_ticks(operator, 3)
    operator.kill()
    protected.wait_for_ticks(operators.start(), 3)

    said = protected.events("WouldRollBack")
    assert sorted(e["regarding"]["kind"] for e in said) == ["ModelDeployment", "RollbackPolicy"]
    assert all("series" not in e for e in said), "said more than once"
    assert "would roll back v13 to v12" in said[0]["note"]
    assert protected.rollbacks() == []
    written = {(e.resource, e.subresource) for e in audit.writes_since(mark, user=protected.actor)}
    assert written <= {("events", ""), ("rollbackpolicies", "status"), ("modeldeployments", "status")}
    assert protected.image().endswith(":v13")

    protected.patch("rollbackpolicy", {"mode": "Enforce"})
    protected.wait_for_image("v12")
