"""What is missing, objects or rights, ends in a clear condition and recovers by itself."""

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import OperatorProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def test_a_missing_deployment(protected: World, operator: OperatorProcess) -> None:
    protected.delete("deployment")
    ready = protected.wait_for_condition("modeldeployment", "Ready", is_("False", "TargetsMissing"))
    assert "Deployment recommender does not exist" in ready["message"]
    protected.wait_for_event("TargetsMissing")
    armed = protected.wait_for_condition("rollbackpolicy", "Armed", is_("False", "TargetsMissing"))
    assert "Deployment recommender does not exist" in armed["message"]
    protected.quality(BAD)
    protected.wait_for_condition("rollbackpolicy", "Breached", is_("True"))
    protected.wait_for_ticks(operator, 2)
    assert protected.rollbacks() == []

    protected.quality(GOOD)
    protected.deploy("v13")
    protected.wait_for_condition("modeldeployment", "Ready", is_("True"))
    protected.wait_for_event("TargetsAvailable")
    armed = protected.wait_for_condition("rollbackpolicy", "Armed", is_("True"))
    assert "v12" in armed["message"]


def test_a_missing_model_deployment(protected: World) -> None:
    protected.delete("modeldeployment")
    armed = protected.wait_for_condition("rollbackpolicy", "Armed", is_("False", "TargetsMissing"))
    assert "ModelDeployment recommender does not exist in this namespace" in armed["message"]
    protected.apply(systems.model_deployment())
    protected.wait_for_version("v12", verified=True)
    protected.deploy("v13")
    protected.wait_for_condition("rollbackpolicy", "Armed", is_("True"))


def test_a_right_that_was_taken_away_and_given_back(protected: World, audit: Audit) -> None:
    protected.deploy("v13")
    protected.wait_for_version("v13")
    mark = audit.mark()
    with protected.without_right("patch", "deployments"):
        protected.quality(BAD)
        planned = protected.wait_for_rollback("Planned", is_("False", "Forbidden"))
        assert "nothing is written" in planned["message"]
        assert 'cannot patch resource "deployments"' in planned["message"]
        assert protected.image().endswith(":v13")
        wait_until(
            lambda: protected.kinds_told("PreflightRefused"),
            accept={"Rollback", "ModelDeployment", "RollbackPolicy", "Deployment"}.__eq__,
            describe="the Event on all four objects",
        )
    protected.wait_for_image("v12")
    protected.quality(GOOD)
    assert protected.wait_for_result()["status"]["result"] == "Succeeded"
    writes = [e for e in audit.writes_since(mark, user=protected.actor) if e.resource == "deployments"]
    assert [e.code for e in writes] == [200], "the refused ones were dry runs"


def test_everything_can_be_deleted_while_the_operator_is_down(
    protected: World, operator: OperatorProcess
) -> None:
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    protected.wait_for_image("v12")
    assert operator.stop() == 0
    for kind in ("rollback", "rollbackpolicy", "modeldeployment", "deployment"):
        items = protected.kubectl.json("get", kind, namespace=protected.namespace)["items"]
        assert items, f"there is no {kind}"
        assert [i for i in items if i["metadata"].get("finalizers")] == []
    protected.kubectl("delete", "namespace", protected.namespace, "--timeout=60s")
