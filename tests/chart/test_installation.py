"""The chart on a real API server: installed, upgraded, uninstalled. The namespaces enforce the restricted Pod Security
Standard, so a pod that does not meet it is never created and the Deployment never ready."""

import re
import textwrap

import pytest

from tests.chart.conftest import CHART
from tests.support.commands import CommandError
from tests.support.places import ROOT

pytestmark = pytest.mark.cluster

CRDS = [f"{plural}.modelrollback.dev" for plural in ("modeldeployments", "rollbackpolicies", "rollbacks")]
MODEL = {
    "apiVersion": "modelrollback.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "kept"},
    "spec": {
        "components": [
            {"name": "model", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kept"}}
        ]
    },
}


def ready_replicas(kubectl, release) -> int:
    found = kubectl.json("get", "deployment", release.full_name, namespace=release.namespace)
    return found["status"].get("readyReplicas", 0)


def pods(kubectl, release) -> list[dict]:
    selector = f"--selector=app.kubernetes.io/instance={release.name}"
    items = kubectl.json("get", "pods", selector, namespace=release.namespace)["items"]
    return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]


def established(kubectl, crd: str) -> bool:
    conditions = kubectl.json("get", "crd", crd)["status"]["conditions"]
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


def test_a_release_is_installed_upgraded_uninstalled_and_installed_again(helm, kubectl, namespace, install):
    release = install(watched=namespace)
    assert ready_replicas(kubectl, release) == 2
    assert all(established(kubectl, crd) for crd in CRDS)
    first = pods(kubectl, release)
    assert {pod["spec"]["serviceAccountName"] for pod in first} == {release.full_name}
    kubectl.apply(MODEL, namespace=namespace)

    upgrade = ["upgrade", release.name, CHART, "--wait", "--timeout=100s"]
    helm(*upgrade, "--set=log.level=debug", namespace=release.namespace)
    assert ready_replicas(kubectl, release) == 2
    assert not {pod["metadata"]["uid"] for pod in pods(kubectl, release)} & {
        p["metadata"]["uid"] for p in first
    }
    settings = kubectl.json("get", "configmap", release.full_name, namespace=release.namespace)
    assert "level: debug" in settings["data"]["config.yaml"]

    helm("uninstall", release.name, "--wait", namespace=release.namespace)
    with pytest.raises(CommandError, match="not found"):
        kubectl("get", "deployment", release.full_name, namespace=release.namespace)
    with pytest.raises(CommandError, match="not found"):
        kubectl("get", "clusterrole", release.full_name)
    assert all(established(kubectl, crd) for crd in CRDS)
    assert kubectl.json("get", "modeldeployment", "kept", namespace=namespace)["metadata"]["name"] == "kept"

    helm("install", release.name, CHART, "--wait", "--timeout=100s", namespace=release.namespace)
    assert ready_replicas(kubectl, release) == 2


def test_the_service_leads_to_the_operator(kubectl, namespace, install):
    release = install(watched=namespace)

    slices = kubectl.json(
        "get",
        "endpointslices",
        f"--selector=kubernetes.io/service-name={release.full_name}",
        namespace=release.namespace,
    )["items"]
    assert {endpoint["targetRef"]["name"] for item in slices for endpoint in item["endpoints"]} == {
        pod["metadata"]["name"] for pod in pods(kubectl, release)
    }
    assert [port["port"] for item in slices for port in item["ports"]] == [8080]


def test_the_example_of_the_notes_is_accepted(helm, kubectl, namespace, install):
    release = install(watched=namespace)
    notes = helm("get", "notes", release.name, namespace=release.namespace)

    match = re.search(r"^ +apiVersion: modelrollback.*?(?=\n\n\d\. )", notes, re.MULTILINE | re.DOTALL)
    assert match, notes
    answer = kubectl.apply(textwrap.dedent(match.group()), "--dry-run=server", namespace=namespace)

    assert answer.splitlines() == [
        "modeldeployment.modelrollback.dev/recommender created (server dry run)",
        "rollbackpolicy.modelrollback.dev/recommender created (server dry run)",
    ]
    assert f"rollout status deployment/{release.full_name}" in notes


def test_the_definitions_can_be_applied_by_others_too(kubectl, namespace, install):
    install(watched=namespace)

    answer = kubectl("apply", "--server-side", "--field-manager=somebody-else", f"--filename={ROOT / 'crds'}")

    assert answer.count("serverside-applied") == len(CRDS)
