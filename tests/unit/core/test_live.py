"""When a Deployment's newest spec is rolled out, and what is seen of a target."""

import pytest

from model_rollback.core.live import observe
from model_rollback.core.readiness import judge
from model_rollback.presets.kinds import ReadinessRule
from tests.unit.core.builders import deployment, make_component

PROGRESS = "ProgressDeadlineExceeded"


DEPLOYMENT = ReadinessRule(rule="Deployment")


def rolled(
    *,
    replicas=2,
    generation=3,
    observed=3,
    updated=2,
    total=2,
    available=2,
    progressing="NewReplicaSetAvailable",
):
    obj = deployment(generation=generation)
    obj["spec"]["replicas"] = replicas
    obj["status"] = {
        "observedGeneration": observed,
        "updatedReplicas": updated,
        "replicas": total,
        "availableReplicas": available,
        "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "reason": progressing, "message": 'ReplicaSet "model-7d" has timed out'},
        ],
    }
    return obj


def refused(obj):
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: none"}
    obj["status"]["conditions"].append(failure)
    return obj


READINESS = {
    "rolled out": (rolled(), True, ""),
    "scaled to zero, which is what was wanted": (
        rolled(replicas=0, updated=0, total=0, available=0),
        True,
        "",
    ),
    "its controller has not seen the newest spec": (
        rolled(observed=2),
        False,
        "has not seen the newest spec yet",
    ),
    "an old deadline, while a newer spec is not seen": (
        rolled(observed=2, progressing=PROGRESS),
        False,
        "newest spec",
    ),
    "no new pod yet, the old ones are Available": (rolled(updated=0), False, "0 of 2 replicas are updated"),
    "its controller is refused new pods": (
        refused(rolled(updated=0)),
        False,
        "0 of 2 replicas are updated; no pod can be made: exceeded quota: none",
    ),
    "half of the new pods": (rolled(updated=1), False, "1 of 2 replicas are updated"),
    "old pods are still there": (rolled(total=3), False, "1 replicas of the old version are still there"),
    "new pods are not available": (rolled(available=1), False, "1 of 2 updated replicas are available"),
    "being scaled to zero": (
        rolled(replicas=0, updated=0),
        False,
        "2 replicas of the old version are still there",
    ),
    "progress deadline exceeded": (
        rolled(progressing=PROGRESS),
        False,
        "progress deadline exceeded: ReplicaSet",
    ),
}


@pytest.mark.parametrize("case", READINESS)
def test_whether_the_newest_spec_is_rolled_out(case):
    obj, ready, message = READINESS[case]

    found = judge(DEPLOYMENT, obj)

    assert found.ready is ready
    assert message in found.message
    assert bool(found.message) is not ready
    assert found.failed is (case == "progress deadline exceeded")


@pytest.mark.parametrize(
    "status", [None, {}, {"observedGeneration": 3}], ids=["missing", "empty", "just begun"]
)
def test_a_status_that_says_nothing_is_not_ready(status):
    obj = deployment()
    obj["status"] = status

    assert judge(DEPLOYMENT, obj).ready is False


def test_replicas_that_are_not_given_are_one():
    obj = rolled(updated=1, total=1, available=1)
    del obj["spec"]["replicas"]

    assert judge(DEPLOYMENT, obj).ready is True


def see(obj, **component):
    made = make_component(**component)
    return observe(made, obj)


def test_what_is_seen_of_a_target():
    obj = deployment(annotations={"modelrollback.dev/last-write": "r/revert-model/1"})
    obj["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"] = "v13"

    seen = see(obj)

    assert (seen.component, seen.uid, seen.pins) == ("model", "uid-model", {"image": "shop/recommender:v13"})
    assert (seen.app_version, seen.last_write, seen.resource_version) == ("v13", "r/revert-model/1", "41")
    assert (seen.problem, seen.missing, seen.scaled_to_zero, seen.readiness.ready) == ("", False, False, True)


def test_a_pod_template_is_held_as_a_digest():
    seen = see(deployment(), preset="PodTemplate", container=None)

    assert seen.pins is not None
    assert seen.pins["template"].startswith("sha256:")


def test_a_target_without_the_pin_has_a_problem_and_no_pins():
    seen = see(deployment(), container="gpu")

    assert seen.pins is None
    assert seen.problem.endswith("no element at /spec/template/spec/containers has name=gpu")


@pytest.mark.parametrize(("replicas", "zero"), [(0, True), (1, False)])
def test_scaled_to_zero_is_seen(replicas, zero):
    assert see(rolled(replicas=replicas)).scaled_to_zero is zero


def test_two_looks_at_the_same_state_are_equal_whatever_their_resource_version():
    assert see(deployment(resourceVersion="41")) == see(deployment(resourceVersion="42"))


def other(api_version, kind, **spec):
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "uid": "u", "labels": {"app.kubernetes.io/version": "v13"}},
        "spec": spec,
    }


PAUSED = {
    "a CronJob that is suspended": (other("batch/v1", "CronJob", suspend=True), True),
    "a CronJob that is not": (other("batch/v1", "CronJob", suspend=False), False),
    "a RayService that is suspended": (other("ray.io/v1", "RayService", suspend=True), True),
    "a Rollout that is paused": (other("argoproj.io/v1alpha1", "Rollout", paused=True), True),
    "a Rollout that pauses a canary by itself": (
        other("argoproj.io/v1alpha1", "Rollout", paused=None),
        False,
    ),
    "a StatefulSet, which cannot be": (other("apps/v1", "StatefulSet", paused=True), False),
    "a ConfigMap, which cannot be": (other("v1", "ConfigMap"), False),
}


@pytest.mark.parametrize("case", PAUSED)
def test_whether_its_own_controller_is_paused(case):
    obj, paused = PAUSED[case]
    target = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": "x"}

    assert see(obj, targetRef=target, preset=None, container=None).paused is paused


def test_a_kind_without_a_pod_template_is_called_by_its_own_label():
    target = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}

    seen = see(other("v1", "ConfigMap"), targetRef=target, preset=None, container=None)

    assert seen.app_version == "v13"
    assert seen.pins == {"data": "json:null", "binary-data": "json:null"}
