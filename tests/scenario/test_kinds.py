"""Each target kind on the real API server: v12 is recorded, v13 is bad, v12 comes back and is ready.

All cases play at the same time, with one operator process in one namespace. What third parties' controllers would say
is played (`kinds/controllers.py`); what Kubernetes itself says is real.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenario.kinds.cases import CASES, PASSWORDS, model_deployment, policy, rollback
from tests.scenario.kinds.controllers import Controllers
from tests.support import writing
from tests.support.cluster import Cluster
from tests.support.commands import Helm, Kubectl
from tests.support.identity import service_account_kubeconfig
from tests.support.operator import SERVICE_ACCOUNT, Operators, grant_rights
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

HERE = Path(__file__).parent / "kinds"
RIGHTS = (
    "rbac.secrets=true",
    "rbac.extraTargets[0].apiGroup=ml.example",
    "rbac.extraTargets[0].resources={classifiers}",
    "rbac.extraTargets[1].apiGroup=search.example",
    "rbac.extraTargets[1].resources={indices}",
)
GIVEN_UP = {
    "isvc-failing": "no such bucket",
    "isvc-sklearn-failing": "no such bucket",
    "rollout-failing": "scripted failed",
    "classifier-failing": "no GPU left",
}
"""What the controllers of these kinds say in a field that means that they have given up."""
NEVER_READY = {
    "ray-failing": "condition Ready is False, not True: failed",
    "seldon-failing": "condition ModelReady is False, not True: failed",
    "index-failing": "status.state is Broken, not Serving",
}
"""What stands in the status of these kinds, which have no such field."""
SUCCEEDING = sorted(name for name, case in CASES.items() if case.script != "failing")
assert {*SUCCEEDING, *GIVEN_UP, *NEVER_READY} == CASES.keys()
Object = dict[str, Any]


@dataclass
class Played:
    """What was left when all cases had come to their end."""

    kubectl: Kubectl
    namespace: str
    controllers: Controllers
    log: str

    def get(self, kind: str, name: str) -> Object:
        found: Object = self.kubectl.json("get", kind, name, namespace=self.namespace)
        return found

    def target(self, name: str) -> Object:
        return self.get(CASES[name].make("v12", name)[0]["kind"].lower(), name)


@pytest.fixture(scope="module")
def played(
    cluster: Cluster, helm: Helm, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    namespace = f"t-kinds-{uuid.uuid4().hex[:6]}"
    folder = tmp_path_factory.mktemp("kinds")
    kubectl("create", "namespace", namespace)
    kubectl("apply", "--server-side", f"--filename={HERE / 'crds.yaml'}")
    kubectl("wait", "--for=condition=Established", "--timeout=60s", f"--filename={HERE / 'crds.yaml'}")
    grant_rights(helm, kubectl, namespace, *RIGHTS)
    kubeconfig = service_account_kubeconfig(kubectl, namespace, SERVICE_ACCOUNT, folder)
    operators = Operators(kubeconfig, namespace, cluster.prometheus_url, folder)
    presets = folder / "presets"
    presets.mkdir()
    presets.joinpath("classifier.yaml").write_text((HERE / "classifier.yaml").read_text())
    scripts = {name: case.script for name, case in CASES.items()}
    try:
        with Controllers(kubectl, namespace, scripts) as controllers:
            play(kubectl, namespace, controllers, operators, presets)
            yield Played(kubectl, namespace, controllers, operators.running[0].log.read_text())
    finally:
        operators.end()
        kubectl("delete", "namespace", namespace, "--wait=false")


def play(
    kubectl: Kubectl, namespace: str, controllers: Controllers, operators: Operators, presets: Path
) -> None:
    def versions(kind: str, *way: str) -> dict[str, Any]:
        found = {}
        for item in kubectl.json("get", kind, namespace=namespace)["items"]:
            value: Any = item
            for key in way:
                value = value.get(key, {})
            found[item["metadata"]["name"]] = value
        return found

    deploy(kubectl, namespace, "v12")
    writing.apply(
        kubectl, *(model_deployment(name, case) for name, case in CASES.items()), namespace=namespace
    )
    writing.apply(kubectl, *(policy(name) for name in CASES), namespace=namespace)
    operators.start(target_kinds=presets)
    recorded = {name for name, case in CASES.items() if not case.declared}
    wait_until(
        lambda: versions("mdep", "status", "lastVerifiedVersion"),
        120,
        accept=lambda v: {name for name in v if v[name] == "v12"} == recorded,
        describe="v12 of all kinds to be Verified",
        every=0.5,
    )
    controllers.reverting = True
    deploy(kubectl, namespace, "v13")
    wait_until(
        lambda: versions("mdep", "status", "currentVersion"),
        120,
        accept=lambda v: all(str(v[name]).startswith("v13") for name in CASES),
        describe="v13 of all kinds to be live",
        every=0.5,
    )
    writing.apply(kubectl, *(rollback(name) for name in CASES), namespace=namespace)

    def ends() -> dict[str, str]:
        conditions = versions("rbk", "status", "conditions")
        results = versions("rbk", "status", "result")
        halted = {
            name: "Halted" for name, some in conditions.items() if halt_of({"status": {"conditions": some}})
        }
        return {name: result for name, result in results.items() if result} | halted

    awaited = CASES.keys() - NEVER_READY.keys()
    wait_until(ends, 180, accept=lambda e: e.keys() >= awaited, describe="all to come to an end", every=0.5)


def deploy(kubectl: Kubectl, namespace: str, version: str) -> None:
    manifests = (m for name, case in CASES.items() for m in case.make(version, name))
    writing.apply(kubectl, *manifests, namespace=namespace)


def step_of(record: Object) -> Object:
    return next(s for s in record["status"]["steps"] if s.get("component") == "model")


@pytest.mark.parametrize("name", SUCCEEDING)
def test_what_was_there_is_back_and_ready(name: str, played: Played) -> None:
    case, record, target = CASES[name], played.get("rbk", name), played.target(name)

    assert record["status"].get("result") == "Succeeded", record["status"]["conditions"]
    assert (record["status"]["fromVersion"][:3], record["status"]["toVersion"]) == ("v13", "v12")
    assert case.at(target) == case.expect
    if "replicas" in target.get("spec", {}):
        assert target["spec"]["replicas"] == 2, "what somebody scaled stays scaled"
    assert target["metadata"]["annotations"]["modelrollback.dev/last-write"].startswith(
        f"{name}/revert-model/"
    )
    assert played.get("mdep", name)["status"]["currentVersion"] == "v12"
    if case.script == "slow":
        finished = datetime.fromisoformat(step_of(record)["finishedAt"])
        assert finished >= played.controllers.ready_at[name], "a status of the old generation was believed"


def halt_of(record: Object) -> Object:
    conditions = record["status"].get("conditions", [])
    return next((c for c in conditions if (c["type"], c["status"]) == ("Halted", "True")), {})


@pytest.mark.parametrize("name", GIVEN_UP)
def test_a_controller_that_gives_up_halts_the_rollback(name: str, played: Played) -> None:
    halted = halt_of(played.get("rbk", name))

    assert halted["reason"] == "ProgressDeadlineExceeded", halted
    assert GIVEN_UP[name] in halted["message"]


def test_an_abort_puts_everything_back_as_it_was(played: Played) -> None:
    name = "isvc-failing"
    assert "runtimeVersion" not in played.target(name)["spec"]["predictor"]["model"]
    writing.patch(played.kubectl, "rbk", name, {"spec": {"intent": "Abort"}}, namespace=played.namespace)

    record = wait_until(
        lambda: played.get("rbk", name),
        120,
        accept=lambda r: r["status"].get("result"),
        describe="the Abort to be done",
        every=0.5,
    )

    assert record["status"]["result"] == "Aborted"
    model = played.target(name)["spec"]["predictor"]["model"]
    assert (model["storageUri"], model["runtimeVersion"]) == ("s3://models/v13", "2.0")


@pytest.mark.parametrize("name", ["configmap", "secret"])
def test_who_reads_it_is_restarted_once_and_ready(name: str, played: Played) -> None:
    reader = played.get("deployment", f"{name}-reader")
    step = step_of(played.get("rbk", name))

    stamped = reader["spec"]["template"]["metadata"]["annotations"]
    assert stamped["modelrollback.dev/restarted-by"].startswith(f"{name}/revert-model/")
    assert stamped["kubectl.kubernetes.io/restartedAt"] == step["writtenAt"]
    assert reader["metadata"]["generation"] == 2, "made, and restarted once"
    assert reader["status"]["observedGeneration"] == 2
    assert reader["status"]["updatedReplicas"] == reader["spec"]["replicas"]


def test_what_a_secret_holds_is_nowhere_but_in_secrets(played: Played) -> None:
    kinds = "mdep,rbpol,rbk,controllerrevisions,events.events.k8s.io,configmaps,deployments"
    written = played.kubectl("get", kinds, "--output=json", namespace=played.namespace)

    for password in PASSWORDS.values():
        for text in (password, base64.b64encode(password.encode()).decode()):
            assert text not in written
            assert text not in played.log
    shown = {r["pin"]: r["value"] for r in step_of(played.get("rbk", "secret"))["after"]}
    assert shown["data"].startswith("hidden:")
    kept = [
        s
        for s in played.kubectl.json("get", "secrets", namespace=played.namespace)["items"]
        if s["type"] == "modelrollback.dev/version"
    ]
    assert {base64.b64decode(v).decode() for s in kept for v in s["data"].values()} == {
        json.dumps({"password": base64.b64encode(p.encode()).decode()}) for p in PASSWORDS.values()
    }
    assert all(s["immutable"] and s["metadata"]["ownerReferences"][0]["name"] == "secret" for s in kept)


def test_a_declared_version_of_two_kinds_comes_back_whole_in_order(played: Played) -> None:
    index = played.get("index", "declared-index")
    assert (index["spec"]["dataset"], index["spec"]["shards"]) == ("lakefs://shop@v12", 4)
    assert index["spec"]["documents"] == [{"id": "a"}]
    steps = {
        s["component"]: s for s in played.get("rbk", "declared")["status"]["steps"] if s.get("component")
    }
    assert steps["index"]["finishedAt"] <= steps["model"]["startedAt"]


def test_a_plural_that_the_api_server_does_not_know_is_said(played: Played) -> None:
    manifest = model_deployment("index-slow", CASES["index-slow"])
    manifest["metadata"]["name"] = "misnamed"
    manifest["spec"]["components"][0]["targetRef"]["resource"] = "indexes"
    played.kubectl.apply([manifest], namespace=played.namespace)

    def ready() -> Object:
        conditions = played.get("mdep", "misnamed").get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == "Ready"), {})

    said = wait_until(
        ready, 60, accept=lambda c: "indices" in c.get("message", ""), describe="the mistake to be said"
    )
    assert "calls Index of search.example/v1alpha1 'indices', not 'indexes'" in said["message"]


@pytest.mark.parametrize("name", NEVER_READY)
def test_a_controller_that_never_says_ready_halts_the_rollback_in_its_words(
    name: str, played: Played
) -> None:
    """Last of all: its step times out while the others are looked at."""
    record = wait_until(
        lambda: played.get("rbk", name), 120, accept=halt_of, describe="the step to time out", every=0.2
    )

    assert halt_of(record)["reason"] == "StepTimedOut"
    assert NEVER_READY[name] in halt_of(record)["message"]
    assert record["status"].get("result", "") == ""
    assert step_of(record)["writtenAt"], "it was put back, and is not called ready"
