"""A rollout that never gets ready halts, says what is half, and two ways lead out of it."""

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.operator import Operators

pytestmark = pytest.mark.cluster

SHORT = {"stepTimeout": "2s"}


def test_abort_puts_the_version_back_that_ran(world: World, operators: Operators) -> None:
    """The target's image is declared Verified and its pods never get ready."""
    world.apply(
        systems.image_pinned("registry.example/broken:v12"),
        systems.policy(world.namespace, execution=SHORT),
        systems.deployment("v13"),
    )
    operators.start()
    world.wait_for_record("v13")
    world.quality(BAD)

    halted = world.wait_for_rollback("Halted", is_("True", "StepTimedOut"))
    assert "Half done: model." in halted["message"]
    assert "Resume" in halted["message"]
    assert "Abort" in halted["message"]
    assert world.wait_for_event("RollbackHalted")
    assert world.rollback()["status"].get("result", "") == ""
    assert world.rollback()["status"]["currentStep"] == "halted: revert-model"
    assert world.status()["activeRollback"] == world.rollback()["metadata"]["name"], "the lock is kept"
    assert world.condition("rollbackpolicy", "Armed")["reason"] == "RollbackInProgress"

    world.say("Abort")
    done = world.wait_for_result()
    assert done["status"]["result"] == "Aborted"
    assert world.image() == systems.image_of("v13")
    steps = {s["name"]: s["state"] for s in done["status"]["steps"]}
    assert steps == {"revert-model": "Restored", "validate": "Pending", "restore-model": "Succeeded"}
    assert not world.status().get("quarantined")
    assert "is finished" in world.refusal("Resume")
    world.wait_for_event("RollbackAborted")
    world.wait_for_event("QuarantineReleased")
    _with_restore_nobody_has_to_say_abort(world)


def _with_restore_nobody_has_to_say_abort(world: World) -> None:
    world.patch("rollbackpolicy", {"execution": {"onFailure": "Restore"}})
    world.apply(systems.manual("by-hand"))
    done = world.wait_for_end("by-hand")
    assert done["result"] == "Failed"
    steps = {s["name"]: s["state"] for s in done["steps"]}
    assert steps == {"revert-model": "Restored", "validate": "Pending", "restore-model": "Succeeded"}
    assert world.image() == systems.image_of("v13")
    world.wait_until_told("RollbackFailed", "Rollback", "ModelDeployment", "RollbackPolicy", "Deployment")
    assert not world.status().get("quarantined")


def test_resume_goes_on_once_what_was_wrong_is_mended(protected: World) -> None:
    """A quota leaves no room for the old version's pods; a person raises it."""
    protected.patch("rollbackpolicy", {"execution": SHORT})
    protected.deploy("v13")
    protected.wait_for_record("v13")
    protected.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "pods"},
            "spec": {"hard": {"pods": "2"}},
        }
    )
    protected.quality(BAD)
    halted = protected.wait_for_rollback("Halted", is_("True", "StepTimedOut"))
    assert "0 of 2 replicas are updated" in halted["message"]

    protected.delete("resourcequota", "pods")
    protected.quality(GOOD)
    protected.patch("deployment", {"progressDeadlineSeconds": 601})
    protected.kubectl("rollout", "status", "deployment/recommender", namespace=protected.namespace)
    protected.say("Resume")
    done = protected.wait_for_result()
    assert done["status"]["result"] == "Succeeded"
    assert protected.image() == systems.image_of("v12")
    protected.wait_for_event("RollbackResumed")


def test_the_api_server_refuses_what_makes_no_sense(protected: World) -> None:
    protected.patch("rollbackpolicy", {"validation": {"settle": "10m", "duration": "2s"}})
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    protected.wait_for_rollback("Reverted", is_("True"))

    assert "intent Resume is for a Rollback that is halted" in protected.refusal("Resume")
    name = protected.rollback()["metadata"]["name"]
    with pytest.raises(AssertionError, match="targetVersion is immutable"):
        protected.patch("rollback", {"targetVersion": "v11"}, name)
    protected.patch("rollback", {"onAbort": "Leave"}, name)
    protected.say("Abort")
    done = protected.wait_for_result()
    assert done["status"]["result"] == "Aborted"
    assert protected.image() == systems.image_of("v12"), "Leave leaves what was put back"
    assert "is finished" in protected.refusal("Run")
