"""A cluster with a real node, the operator installed in it by the chart, and a model whose images really run."""

import functools
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.realnode.pods import (
    IMAGES,
    LOADED,
    OPERATOR_IMAGE,
    PORT,
    SERVICE,
    Installation,
    Node,
    Shop,
    policy,
)
from tests.scenario import systems
from tests.scenario.world import World
from tests.support import places
from tests.support.audit import Audit
from tests.support.cluster import Cluster
from tests.support.commands import Helm, Kubectl
from tests.support.fixtures import LOGS
from tests.support.operator import CHART
from tests.support.prometheus import Prometheus


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the node; images are built by whichever test comes first."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.realnode)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def archive(scratch: Path) -> Callable[[str], Path]:
    """`archive(image)`: one of IMAGES, built from its Dockerfile once in this run."""

    @functools.cache
    def build(image: str) -> Path:
        path = scratch / f"{image.rpartition('/')[2].replace(':', '-')}.tar"
        command = [places.ROOT / "hack/image/build", *IMAGES[image], image, path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
        assert done.returncode == 0, f"{image} was not built: {done.stderr[-3000:]}"
        return path

    return build


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest, archive: Callable[[str], Path]) -> Iterator[Node]:
    """The cluster of this run, as its tool describes it, with the images that are loaded on its node."""
    built = [archive(image) for image in LOADED]
    name = f"real-{uuid.uuid4().hex[:8]}"
    try:
        places.localcluster("up", name, "--node=real", f"--owner={os.getpid()}")
        for path in built:
            places.localcluster("load", name, str(path))
        yield Node(name, places.local_cluster(name))
    except places.PlaceError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        if request.session.testsfailed:
            request.config.stash[LOGS] = places.down_with_logs(name)
        places.localcluster("down", name)


@pytest.fixture(scope="session")
def cluster(node: Node, scratch: Path) -> Cluster:
    """As everywhere in the tests, but with a node that runs containers."""
    about = node.about
    return Cluster(
        place="local",
        kubeconfig=Path(about["KUBECONFIG"]),
        binaries=Path(about["LOCALCLUSTER_BIN"]),
        prometheus_url=about["PROMETHEUS_URL"],
        prometheus_configuration=Path(about["LOCALCLUSTER_PROMETHEUS_CONFIG"]),
        audit_log=Path(about["LOCALCLUSTER_AUDIT_LOG"]),
        scratch=scratch,
    )


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """kubectl as the administrator of that cluster."""
    return Kubectl(cluster.binaries / "kubectl", cluster.environment)


@pytest.fixture(scope="session")
def helm(cluster: Cluster) -> Helm:
    """helm as the administrator of that cluster."""
    return Helm(cluster.binaries / "helm", cluster.environment)


@pytest.fixture(scope="session")
def audit(cluster: Cluster, kubectl: Kubectl) -> Audit:
    """The audit log of that cluster."""
    assert cluster.audit_log is not None
    return Audit(cluster.audit_log, lambda path: kubectl("get", "--raw", path))


@pytest.fixture
def shop(
    node: Node, cluster: Cluster, kubectl: Kubectl, helm: Helm, namespace: str, prometheus: Prometheus
) -> Iterator[Shop]:
    """A Service for the model, and the chart installed with the image that was built here; the operator is ready.

    There is no DNS in this cluster: the operator is told the ClusterIP of the Service, which Prometheus scrapes.
    """
    kubectl.apply(SERVICE, namespace=namespace)
    address = str(kubectl.json("get", "service", "recommender", namespace=namespace)["spec"]["clusterIP"])
    prometheus.scrape(f"model-{namespace}", f"{address}:{PORT}", namespace=namespace)
    operators = f"operators-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", operators)
    kubectl("label", "namespace", operators, "pod-security.kubernetes.io/enforce=restricted")
    repository, tag = OPERATOR_IMAGE.split(":")
    port = urlsplit(cluster.prometheus_url).port
    values = {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "replicas": 1,
        "leaderElection": {"enabled": False},
        "watchNamespaces": [namespace],
        "metricsSources": {"default": {"url": f"http://{node.machine}:{port}", "timeout": "2s"}},
        "probes": {"resolve": [f"recommender.{namespace}.svc:{PORT}={address}:{PORT}"]},
    }
    installed = Installation("operator", operators, kubectl)
    options = ("--take-ownership", "--force-conflicts", "--wait", "--timeout=180s", "--values=-")
    try:
        helm(
            *("install", installed.release, CHART, *options),
            namespace=operators,
            stdin=yaml.safe_dump(values),
            timeout=240,
        )
        yield Shop(World(kubectl, namespace, prometheus), installed, address)
    finally:
        print(kubectl("describe", "pods", namespace=operators))
        print(kubectl("logs", f"deployment/{installed.full_name}", "--all-containers", namespace=operators))
        helm("uninstall", installed.release, "--ignore-not-found", namespace=operators)
        kubectl("delete", "namespace", operators, "--wait=false")


@pytest.fixture
def protected(shop: Shop, namespace: str) -> Shop:
    """v12 runs and is Verified."""
    shop.deploy("v12")
    shop.world.apply(systems.model_deployment(), policy(namespace))
    shop.world.wait_for_version("v12", verified=True, timeout=120)
    return shop
