"""A procedure that a policy writes out: told in mode Observe, then run one step after the other."""

from typing import Any

import pytest

from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.operator import Operators

pytestmark = pytest.mark.cluster

JOB: dict[str, Any] = {
    "template": {
        "metadata": {"annotations": {"sim/run-for": "1s"}},
        "spec": {"containers": [{"name": "warm", "image": "registry.example/warm:1"}]},
    }
}
STEPS: list[dict[str, Any]] = [
    {"name": "tell", "action": "Notify"},
    {"name": "back", "action": "Revert", "component": "model", "timeout": "20s"},
    {"name": "warm", "action": "Job", "job": JOB},
    {"name": "proof", "action": "Validate"},
]


def test_a_written_procedure_is_told_and_then_run_as_it_stands(world: World, operators: Operators) -> None:
    world.patch(
        "rollbackpolicy", {"mode": "Observe", "steps": [{**STEPS[1], "component": "cache"}, STEPS[3]]}
    )
    operators.start()
    armed = world.wait_for_condition("rollbackpolicy", "Armed", is_("False", "InvalidSpec"))
    assert "cache, which the ModelDeployment does not have" in armed["message"]
    world.patch("rollbackpolicy", {"steps": STEPS})
    world.wait_for_version("v12", verified=True)
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    (told, *_) = world.wait_for_event("WouldRollBack")
    assert "Steps: tell, back, warm, proof" in told["note"]

    world.quality(GOOD)
    world.wait_for_condition("rollbackpolicy", "Breached", is_("False"))
    world.patch("rollbackpolicy", {"mode": "Enforce"})
    world.quality(BAD)
    world.wait_for_image("v12")
    world.quality(GOOD)
    done = world.wait_for_result()

    assert done["status"]["result"] == "Succeeded"
    steps = done["status"]["steps"]
    assert [(s["name"], s["state"]) for s in steps] == [(s["name"], "Succeeded") for s in STEPS]
    assert steps[2]["startedAt"] >= steps[1]["finishedAt"]
    planned = next(c for c in done["status"]["conditions"] if c["type"] == "Planned")
    assert "tell, back, warm, proof" in planned["message"]
    assert [s["name"] for s in done["status"]["procedure"]["steps"]] == [s["name"] for s in STEPS]
    (job,) = world.kubectl.json("get", "jobs", namespace=world.namespace)["items"]
    assert job["metadata"]["ownerReferences"][0]["kind"] == "Rollback"
    world.wait_until_told("StepNotifies", "Rollback", "ModelDeployment", "RollbackPolicy", "Deployment")
