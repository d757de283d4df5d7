"""Whether the newest spec is rolled out, for each kind: ready, not yet, failed, and a status that lies."""

from datetime import UTC, datetime
from typing import Any

import pytest

from model_rollback.api.v1alpha1.component import StatedCondition, StatedField
from model_rollback.core.readiness import judge
from model_rollback.presets.kinds import ReadinessRule, target_kinds

KINDS = {kind.kind: kind for kind in target_kinds().values()}


def having(status: dict[str, Any] | None, generation: int = 3, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "generation": generation}, "spec": spec, "status": status}


def conditions(**statuses: str) -> list[dict[str, Any]]:
    return [
        {"type": type_, "status": status, "message": f"about {type_}"} for type_, status in statuses.items()
    ]


def replicas(total: int = 3, updated: int = 3, available: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "observedGeneration": 3, "replicas": total, "updatedReplicas": updated, "availableReplicas": available, **more
    }  # fmt: skip


def pods(wanted: int = 3, updated: int = 3, available: int = 3, observed: int = 3) -> dict[str, Any]:
    return {
        "observedGeneration": observed, "desiredNumberScheduled": wanted, "updatedNumberScheduled": updated,
        "numberAvailable": available,
    }  # fmt: skip


def model(
    transition: str = "UpToDate", active: str = "Loaded", ready: str = "True", **more: Any
) -> dict[str, Any]:
    return {
        "observedGeneration": 3,
        "conditions": conditions(Ready=ready),
        "modelStatus": {"transitionStatus": transition, "states": {"activeModelState": active}, **more},
    }


PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}
FAILURE = {"message": "no such bucket", "time": "2026-01-05T10:00:00Z"}

# kind, case → object, whether it is ready, what is said, whether it failed
CASES: dict[str, tuple[dict[str, Any], bool | str]] = {
    "StatefulSet rolled out": (having(replicas(), replicas=3), True),
    "StatefulSet of one by default": (having(replicas(1, 1, 1)), True),
    "StatefulSet whose controller has not looked": (having({}, replicas=3), "has not seen the newest spec"),
    "StatefulSet of the old generation": (having(replicas(), generation=4, replicas=3), "newest spec yet"),
    "StatefulSet half updated": (having(replicas(updated=1), replicas=3), "1 of 3 replicas are updated"),
    "StatefulSet held by its partition": (
        having(replicas(updated=1), replicas=3, **PARTITION),
        "1 of 3 replicas are updated; its partition 2 keeps pods on the old revision",
    ),
    "StatefulSet wholly back in spite of a partition": (having(replicas(), replicas=3, **PARTITION), True),
    "StatefulSet that waits for somebody": (
        having(replicas(updated=0), replicas=3, updateStrategy={"type": "OnDelete"}),
        "OnDelete, so a pod changes when somebody deletes it",
    ),
    "StatefulSet with pods that are not available": (having(replicas(available=2), replicas=3), "2 of 3 replicas"),
    "StatefulSet that is scaled down": (having(replicas(), replicas=1), "2 replicas too many"),
    "DaemonSet rolled out": (having(pods()), True),
    "DaemonSet on no node": (having(pods(0, 0, 0)), True),
    "DaemonSet whose controller has not looked": (having({}), "has not seen"),
    "DaemonSet of the old generation": (having(pods(observed=2)), "newest spec yet"),
    "DaemonSet half updated": (having(pods(updated=1)), "1 of 3 pods are updated"),
    "DaemonSet with pods that are not available": (having(pods(available=0)), "0 of 3 pods are available"),
    "CronJob": (having({}), True),
    "CronJob that is being deleted": (
        {"metadata": {"generation": 1, "deletionTimestamp": "2026-01-05T10:00:00Z"}},
        "being deleted",
    ),
    "ConfigMap": ({"metadata": {"name": "x"}, "data": {}}, True),
    "Secret": ({"metadata": {"name": "x"}, "data": {}}, True),
    "InferenceService loaded": (having(model()), True),
    "InferenceService that lies: Ready of the old generation": (having(model(), generation=4), "newest spec yet"),
    "InferenceService that lies: Ready and not loaded": (
        having(model(active="FailedToLoad")),
        "activeModelState is FailedToLoad, not Loaded",
    ),
    "InferenceService in transition": (having(model("InProgress")), "transitionStatus is InProgress, not UpToDate"),
    "InferenceService that is not Ready": (having(model(ready="False")), "Ready is False, not True: about Ready"),
    "InferenceService without a status": (having(None), "condition Ready is not there"),
    "InferenceService blocked": (
        having(model("BlockedByFailedLoad", lastFailureInfo=FAILURE)),
        "failed: status.modelStatus.transitionStatus is BlockedByFailedLoad: no such bucket",
    ),
    "InferenceService with an invalid spec": (having(model("InvalidSpec")), "failed: status.modelStatus"),
    "InferenceService blocked, of the old generation": (having(model("BlockedByFailedLoad"), 4), "newest spec yet"),
    "RayService ready": (having({"conditions": conditions(Ready="True", UpgradeInProgress="False")}), True),
    "RayService that lies: Ready while it upgrades": (
        having({"conditions": conditions(Ready="True", UpgradeInProgress="True")}),
        "UpgradeInProgress is True, not False",
    ),
    "RayService of the old generation": (
        having({"observedGeneration": 2, "conditions": conditions(Ready="True", UpgradeInProgress="False")}),
        "newest spec yet",
    ),
    "RayService whose condition is of the old generation": (
        having({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]}),
        "condition Ready speaks of an older spec",
    ),
    "RayService not ready": (having({"conditions": conditions(Ready="False")}), "Ready is False"),
    "Model ready": (having({"observedGeneration": 3, "conditions": conditions(ModelReady="True")}), True),
    "Model that is Ready and not ModelReady": (
        having({"conditions": conditions(Ready="True", ModelReady="False")}), "ModelReady is False, not True"
    ),
    "Model that lies: ModelReady of the old generation": (
        having({"observedGeneration": 2, "conditions": conditions(ModelReady="True")}), "newest spec yet"
    ),
    "Rollout healthy": (having({"observedGeneration": "3", "phase": "Healthy"}), True),
    "Rollout that lies: Healthy of the old generation": (
        having({"observedGeneration": "2", "phase": "Healthy"}), "newest spec yet"
    ),
    "Rollout with a hash for its generation": (
        having({"observedGeneration": "7d4f9", "phase": "Healthy"}), "'7d4f9', which is no number"
    ),
    "Rollout on its way": (having({"observedGeneration": "3", "phase": "Progressing"}), "phase is Progressing"),
    "Rollout paused": (having({"observedGeneration": "3", "phase": "Paused"}), "phase is Paused, not Healthy"),
    "Rollout degraded": (
        having({"observedGeneration": "3", "phase": "Degraded", "message": "ProgressDeadlineExceeded"}),
        "failed: status.phase is Degraded: ProgressDeadlineExceeded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_kind_of_ours(case):
    obj, expected = CASES[case]

    found = judge(KINDS[case.split()[0]].readiness, obj)

    assert_said(found, expected)


def assert_said(found, expected):
    assert found.ready is (expected is True)
    if isinstance(expected, str):
        assert expected.removeprefix("failed: ") in found.message
        assert found.failed is expected.startswith("failed: ")


GENERIC = {
    "no status at all": (having(None), True),
    "a status without conditions": (having({"observedGeneration": 3}), True),
    "Ready": (having({"conditions": conditions(Ready="True")}), True),
    "Ready of the old generation": (
        having({"observedGeneration": 2, "conditions": conditions(Ready="True")}), "newest spec yet"
    ),
    "Ready made for the old generation": (
        having({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]}), "older spec"
    ),
    "not Ready": (having({"conditions": conditions(Ready="False")}), "Ready is False: about Ready"),
    "Ready unknown": (having({"conditions": conditions(Ready="Unknown")}), "Ready is Unknown"),
    "Ready and still reconciling": (
        having({"conditions": conditions(Ready="True", Reconciling="True")}), "Reconciling: about Reconciling"
    ),
    "stalled": (having({"conditions": conditions(Ready="False", Stalled="True")}), "failed: Stalled: about Stalled"),
    "a status that is a text": ({"metadata": {}, "status": "fine"}, True),
    "conditions that are a text": (having({"conditions": "fine"}), True),
    "a condition that is a text": (having({"conditions": ["fine"]}), True),
    "a generation that is a list": (having({"observedGeneration": []}), "no number"),
}  # fmt: skip


@pytest.mark.parametrize("case", GENERIC)
def test_the_rule_for_any_kind(case):
    obj, expected = GENERIC[case]

    assert_said(judge(ReadinessRule(), obj), expected)


STATED = ReadinessRule(
    conditions=(StatedCondition(type="ModelReady"),),
    fields=(StatedField(path="status.replicas", equals="2"), StatedField(path="status.live", equals="true")),
)
EXPLICIT = {
    "all of it": (having({"conditions": conditions(ModelReady="True"), "replicas": 2, "live": True}), True),
    "whatever Ready says": (
        having({"conditions": conditions(ModelReady="True", Ready="False"), "replicas": 2, "live": True}), True
    ),
    "a condition": (having({"replicas": 2, "live": True}), "condition ModelReady is not there"),
    "a number": (having({"conditions": conditions(ModelReady="True"), "replicas": 1}), "status.replicas is 1, not 2"),
    "a truth": (
        having({"conditions": conditions(ModelReady="True"), "replicas": 2, "live": False}), "is false, not true"
    ),
    "a field": (having({"conditions": conditions(ModelReady="True")}), "status.replicas is not there, not 2"),
    "the generation": (
        having({"observedGeneration": 2, "conditions": conditions(ModelReady="True"), "replicas": 2, "live": True}),
        "newest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EXPLICIT)
def test_what_a_component_states(case):
    obj, expected = EXPLICIT[case]

    assert_said(judge(STATED, obj), expected)


def test_a_failure_tells_since_when():
    blocked = having(model("BlockedByFailedLoad", lastFailureInfo=FAILURE))
    degraded = having(
        {
            "observedGeneration": "3",
            "phase": "Degraded",
            "conditions": [{"type": "Progressing", "lastUpdateTime": "2026-01-05T10:00:00Z"}],
        }
    )

    for kind, obj in (("InferenceService", blocked), ("Rollout", degraded)):
        assert judge(KINDS[kind].readiness, obj).failed_at == datetime(2026, 1, 5, 10, tzinfo=UTC)
    blocked["status"]["modelStatus"]["lastFailureInfo"]["time"] = "yesterday"
    assert judge(KINDS["InferenceService"].readiness, blocked).failed_at is None
