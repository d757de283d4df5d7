"""What is missing, objects or rights, ends in a clear condition and recovers by itself."""

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import OperatorProcess, Operators
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


def test_an_artifact_that_is_gone_blocks_until_it_is_back(world: World, operators: Operators) -> None:
    system = systems.image_pinned(systems.image_of("v12"))
    system["spec"]["versions"][0]["artifacts"] = [
        {"type": "Config", "uri": "configmap://thresholds/v12"},
        {"type": "Model", "uri": "s3://ann:hunter2@models/12?X-Amz-Signature=f00d"},
    ]
    world.apply(system)
    operators.start()
    world.wait_for_record("v12")
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    blocked = world.wait_for_condition("rollbackpolicy", "Armed", is_("False", "ArtifactMissing"))
    missing = f"there is no ConfigMap {world.namespace}/thresholds"
    assert f"v12: its artifact configmap://thresholds/v12 is missing: {missing}" in blocked["message"]
    assert world.rollbacks() == []

    world.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "thresholds"}, "data": {"v12": "0.5"}}
    )
    world.wait_for_image("v12")
    world.quality(GOOD)
    done = world.wait_for_result()
    (target,) = done["status"]["targets"]
    assert [(a["uri"], a["exists"]) for a in target["artifacts"]] == [
        ("configmap://thresholds/v12", "True"),
        ("s3://models/12?…", "Unknown"),
    ]
    planned = next(c for c in done["status"]["conditions"] if c["type"] == "Planned")
    assert "cannot be asked for here: s3://models/12?…" in planned["message"]
    text = systems.as_json(done)
    assert "hunter2" not in text
    assert "f00d" not in text


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
