"""What is missing, objects or rights, ends in a clear condition and recovers by itself."""

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import OperatorProcess, Operators

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
        protected.wait_until_told(
            "PreflightRefused", "Rollback", "ModelDeployment", "RollbackPolicy", "Deployment"
        )
    protected.wait_for_image("v12")
    protected.quality(GOOD)
    assert protected.wait_for_result()["status"]["result"] == "Succeeded"
    writes = [e for e in audit.writes_since(mark, user=protected.actor) if e.resource == "deployments"]
    assert [e.code for e in writes] == [200], "the refused ones were dry runs"


_THRESHOLDS: systems.Manifest = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "thresholds"},
    "data": {"v12": "0.5"},
}
_CLAIM: systems.Manifest = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "models"},
    "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}},
}


def test_an_artifact_that_is_gone_blocks_until_it_is_back(world: World, operators: Operators) -> None:
    system = systems.image_pinned(systems.image_of("v12"))
    system["spec"]["versions"][0]["artifacts"] = [
        {"type": "Config", "uri": "configmap://thresholds/v12"},
        {"type": "Model", "uri": "s3://ann:hunter2@models/12?X-Amz-Signature=f00d"},
        {"type": "Model", "uri": "pvc://models/12"},
    ]
    audit = {"name": "bias-audit", "expires": "2026-01-31"}
    system["spec"]["versions"][0]["attestations"] = [audit]
    world.apply(system)
    world.patch("rollbackpolicy", {"target": {"requires": ["bias-audit"]}})
    operators.start()
    world.wait_for_record("v12")
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    expired = "v12: its attestation bias-audit expired after 2026-01-31"
    world.wait_for_condition("rollbackpolicy", "Armed", lambda c: expired in c["message"])
    audit["expires"] = "2099-01-31"
    world.apply(system)
    blocked = world.wait_for_condition("rollbackpolicy", "Armed", is_("False", "ArtifactMissing"))
    gone = (
        f"v12: its artifact configmap://thresholds/v12 is missing: there is no ConfigMap {world.namespace}/thresholds; "
        f"its artifact pvc://models/12 is missing: there is no PersistentVolumeClaim {world.namespace}/models"
    )
    assert gone in blocked["message"]
    assert world.rollbacks() == []
    _a_person_is_told_the_same(world, gone)

    with world.without_right("patch", "deployments"):
        world.apply(_CLAIM, _THRESHOLDS)
        world.wait_for_rollback("Planned", is_("False", "Forbidden"))
        world.delete("configmap", "thresholds")
    planned = world.wait_for_rollback("Planned", is_("False", "ArtifactMissing"))
    assert "its artifact configmap://thresholds/v12 is missing" in planned["message"]
    assert world.image() == systems.image_of("v13"), "gone after the plan, found before the first write"
    world.apply(_THRESHOLDS)
    world.wait_for_image("v12")
    world.quality(GOOD)
    done = world.wait_for_result()
    (target,) = done["status"]["targets"]
    assert [(a["uri"], a["exists"]) for a in target["artifacts"]] == [
        ("configmap://thresholds/v12", "True"),
        ("s3://models/12?…", "Unknown"),
        ("pvc://models/12", "True"),
    ]
    planned = next(c for c in done["status"]["conditions"] if c["type"] == "Planned")
    assert "cannot be asked for here: s3://models/12?…" in planned["message"]
    text = systems.as_json(done)
    assert "hunter2" not in text
    assert "f00d" not in text


def _a_person_is_told_the_same(world: World, gone: str) -> None:
    world.apply(systems.manual("by-hand", targetVersion="v12"))
    complete = world.wait_for_condition("rollback", "Complete", is_("True", "RollbackDenied"), "by-hand")
    assert complete["message"] == f"this version cannot be put back: {gone}"
    assert world.image() == systems.image_of("v13")
    world.delete("rollback", "by-hand")


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
