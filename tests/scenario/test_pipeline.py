"""A pipeline that built bad features: its CronJob goes back, the features are built anew, then the model follows."""

import copy
from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def _cron_job(version: str, **annotations: str) -> systems.Manifest:
    pods = {
        "metadata": {"annotations": annotations},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "build",
                    "image": "registry.example/build:1",
                    "env": [{"name": "DATASET", "value": f"lakefs://shop/features@{version}"}],
                }
            ],
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "build-features"},
        "spec": {
            "schedule": "0 0 1 1 *",
            "jobTemplate": {"spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": 0, "template": pods}},
        },
    }


def _system(limit: str = "30s") -> systems.Manifest:
    manifest = copy.deepcopy(systems.model_deployment())
    features = {
        "name": "features",
        "type": "Pipeline",
        "targetRef": {"apiVersion": "batch/v1", "kind": "CronJob", "name": "build-features"},
        "reprocess": {"timeout": limit},
    }
    (model,) = manifest["spec"]["components"]
    manifest["spec"]["components"] = [features, {**model, "dependsOn": ["features"]}]
    return manifest


def _release(world: World, version: str, **annotations: str) -> None:
    world.apply(_cron_job(version, **annotations), systems.deployment(version))


def _jobs(world: World) -> list[Any]:
    return list(world.kubectl.json("get", "jobs", namespace=world.namespace)["items"])


def test_the_data_is_built_anew_before_the_model_goes_back(
    world: World, operators: Operators, audit: Audit
) -> None:
    """The Job of v12 fails, so a person takes v11, whose Job is done once although the operator is killed meanwhile."""
    _release(world, "v11", **{"sim/run-for": "2s"})
    world.apply(_system())
    operators.start()
    world.wait_for_version("v11", verified=True)
    _release(world, "v12", **{"sim/result": "fail", "sim/run-for": "1s"})
    world.wait_for_version("v12", verified=True)
    _release(world, "v13")
    world.wait_for_version("v13")
    mark = audit.mark()
    world.quality(BAD)

    halted = world.wait_for_rollback("Halted", is_("True", "JobFailed"))
    assert "Reverted: features. Not touched: model." in halted["message"]
    assert world.rollback()["status"]["currentStep"] == "halted: reprocess-features"
    assert world.image() == systems.image_of("v13"), "the model waits for its features"
    (first,) = _jobs(world)
    environment = first["spec"]["template"]["spec"]["containers"][0]["env"]
    assert environment == [{"name": "DATASET", "value": "lakefs://shop/features@v12"}]
    assert first["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    world.say("Abort")
    assert world.wait_for_result()["status"]["result"] == "Aborted"

    world.quality(GOOD)
    world.apply(systems.manual("by-hand", targetVersion="v11"))
    wait_until(lambda: len(_jobs(world)) == 2, 60, describe="the second Job")
    operators.running[-1].kill()
    operators.start()
    done = world.wait_for_end("by-hand")

    assert done["result"] == "Succeeded"
    steps = {s["name"]: s for s in done["steps"]}
    assert list(steps) == ["revert-features", "reprocess-features", "revert-model", "validate"]
    assert steps["revert-model"]["startedAt"] >= steps["reprocess-features"]["finishedAt"]
    created = [
        e
        for e in audit.writes_since(mark, user=world.actor)
        if (e.verb, e.resource, e.code) == ("create", "jobs", 201)
    ]
    assert len(created) == len(_jobs(world)) == 2
    world.wait_until_told("ReprocessingStarted", "Rollback", "ModelDeployment", "RollbackPolicy", "CronJob")


def test_a_job_that_nobody_waits_for_any_more_is_suspended(world: World, operators: Operators) -> None:
    """The Job of v12 would run for an hour. A person says Abort, its time is up, its Rollback or its ModelDeployment is
    deleted."""
    _release(world, "v12", **{"sim/run-for": "1h"})
    world.apply(_system())
    operators.start()
    world.wait_for_version("v12", verified=True)
    _release(world, "v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    (job,) = wait_until(
        lambda: _jobs(world),
        60,
        accept=lambda jobs: jobs and jobs[0]["status"].get("active"),
        describe="a Job",
    )

    world.say("Abort")

    done = world.wait_for_result()
    assert done["status"]["result"] == "Aborted"
    steps = {s["name"]: s for s in done["status"]["steps"]}
    said = f"a person said Abort: Job {job['metadata']['name']} is suspended"
    assert (steps["reprocess-features"]["state"], steps["reprocess-features"]["message"]) == ("Failed", said)
    assert world.image() == systems.image_of("v13"), "never touched"
    (job,) = _jobs(world)
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["annotations"]["modelrollback.dev/suspended"] == "a person said Abort"
    world.wait_until_told("JobSuspended", "Rollback", "ModelDeployment", "CronJob")
    wait_until(lambda: not _pods_of(world, job), 60, describe="its pods to end")
    _or_when_its_time_is_up(world)
    _or_when_the_rollback_is_deleted(world)
    _or_when_the_model_deployment_is_deleted(world)


def _or_when_its_time_is_up(world: World) -> None:
    world.apply(_system(limit="2s"))
    world.apply(systems.manual("late", targetVersion="v12"))
    halted = world.wait_for_condition("rollback", "Halted", is_("True", "StepTimedOut"), "late")
    (job,) = (j for j in _jobs(world) if _made_by(j) == "late")
    assert f"Job {job['metadata']['name']} is suspended" in halted["message"]
    assert job["spec"]["suspend"] is True
    world.patch("rollback", {"intent": "Abort"}, "late")
    assert world.wait_for_end("late")["result"] == "Aborted"


def _or_when_the_rollback_is_deleted(world: World) -> None:
    world.apply(_system(limit="10m"))
    _wait_for_its_job(world, "deleted")
    world.delete("rollback", "deleted")
    wait_until(
        world.status, 60, accept=lambda s: not s.get("activeRollback"), describe="the lock to be cleared"
    )
    _assert_suspended(world, "deleted", "its Rollback was deleted")
    (told, *_) = wait_until(
        lambda: [e for e in world.events("RollbackAborted") if "deleted was deleted" in e["note"]],
        describe="its end to be told",
    )
    assert "Reverted: features. Not touched: model." in told["note"]


def _or_when_the_model_deployment_is_deleted(world: World) -> None:
    world.apply(_cron_job("v13"))
    _wait_for_its_job(world, "orphan")
    world.delete("modeldeployment")
    assert world.wait_for_end("orphan")["result"] == "Aborted"
    _assert_suspended(world, "orphan", "the ModelDeployment was deleted")


def _wait_for_its_job(world: World, rollback: str) -> None:
    world.apply(systems.manual(rollback, targetVersion="v12"))
    wait_until(
        lambda: _job_of(world, rollback),
        60,
        accept=lambda j: j and j["status"].get("active"),
        describe=f"a Job of the Rollback {rollback}",
    )


def _job_of(world: World, rollback: str) -> Any:
    return next((j for j in _jobs(world) if _made_by(j) == rollback), None)


def _assert_suspended(world: World, rollback: str, why: str) -> None:
    job = _job_of(world, rollback)
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["annotations"]["modelrollback.dev/suspended"] == why


def _made_by(job: Any) -> str:
    return str(job["metadata"]["annotations"]["modelrollback.dev/rollback"])


def _pods_of(world: World, job: Any) -> list[Any]:
    chosen = f"--selector=batch.kubernetes.io/job-name={job['metadata']['name']}"
    return list(world.kubectl.json("get", "pods", chosen, namespace=world.namespace)["items"])
