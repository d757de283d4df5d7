"""The process plays the pods of a Deployment on a real API server."""

import re
from pathlib import Path

import pytest

from tests.examples.asking import accuracies, health, send
from tests.examples.running import EXAMPLE
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

DEPLOY = EXAMPLE / "deploy"

RIGHTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: model-server}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: model-server}
rules:
- {apiGroups: [apps], resources: [replicasets], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: model-server}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: model-server}
subjects: [{kind: ServiceAccount, name: model-server}]
"""


@pytest.fixture
def deployed(cluster, kubectl, namespace) -> str:
    """The namespace with a Deployment of v12 and a ServiceAccount that has the rights that the README names."""
    if cluster.pod_log is None:
        pytest.skip("pods of an image that exists nowhere get ready on simulated nodes only")
    kubectl.apply(RIGHTS, namespace=namespace)
    kubectl.apply(DEPLOY / "recommender-v12.yaml", namespace=namespace)
    return namespace


@pytest.fixture
def server(program, cluster, deployed, models, service_account_kubeconfig):
    """The process that plays the pods of `deployed`."""
    kubeconfig: Path = service_account_kubeconfig(deployed, "model-server")
    return program(
        "model_server", "--deployment", f"{deployed}/recommender", "--models", models,
        environment={**cluster.environment, "KUBECONFIG": str(kubeconfig)},
    )  # fmt: skip


@pytest.fixture
def url(server):
    address = server.first_line().rpartition(" ")[2]
    assert address.startswith("http"), server.log()
    wait_until(lambda: health(address), accept=lambda answer: answer[0] == 200, describe="v12 in service")
    return address


def serving(url: str, version: str) -> None:
    wait_until(lambda: health(url)[1]["model_version"], accept=lambda seen: seen == version, describe=version)


def decisions(log: str) -> list[str]:
    return re.findall(r"serving v\d+|out of service", log)


def test_a_new_template_is_served_and_measured_and_so_is_the_old_one_when_it_comes_back(
    server, url, kubectl, namespace, held_out
):
    send(url, held_out, count=200)
    assert set(accuracies(url)) == {"v12"}
    assert accuracies(url)["v12"] > 0.93

    kubectl.apply(DEPLOY / "recommender-v13.yaml", namespace=namespace)
    serving(url, "v13")
    send(url, held_out, count=200)
    assert set(accuracies(url)) == {"v13"}
    assert accuracies(url)["v13"] < 0.85

    kubectl("rollout", "undo", "deployment/recommender", namespace=namespace)
    serving(url, "v12")
    send(url, held_out, count=200)
    assert accuracies(url)["v12"] > 0.93
    assert decisions(server.log()) == ["serving v12", "serving v13", "serving v12"]
    assert server.terminate() == 0


def test_a_release_whose_pods_never_get_ready_never_serves(server, url, kubectl, namespace):
    kubectl("set", "image", "deployment/recommender", "server=broken/recommender:v13", namespace=namespace)
    wait_until(
        lambda: [
            pod
            for pod in kubectl.json("get", "pods", namespace=namespace)["items"]
            if pod["spec"]["containers"][0]["image"] == "broken/recommender:v13"
            and "waiting" in str(pod["status"].get("containerStatuses"))
        ],
        describe="a pod of the broken release",
    )
    assert health(url) == (200, {"status": "ok", "model_version": "v12"})

    kubectl("scale", "deployment/recommender", "--replicas=0", namespace=namespace)
    wait_until(lambda: health(url)[0], accept=lambda code: code == 503, describe="out of service")

    # Events arrive in order: had the broken release ever served, the log would show it before the end.
    assert decisions(server.log()) == ["serving v12", "out of service"]


def test_scaled_to_zero_is_out_of_service_and_back_again(server, url, kubectl, namespace):
    kubectl("scale", "deployment/recommender", "--replicas=0", namespace=namespace)
    wait_until(lambda: health(url)[0], accept=lambda code: code == 503, describe="out of service")

    kubectl("scale", "deployment/recommender", "--replicas=1", namespace=namespace)

    serving(url, "v12")
    assert accuracies(url) == {}
