"""The chart, as helm renders it and as a real API server takes it."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import places
from tests.support.cluster import Cluster
from tests.support.commands import Helm, Kubectl

CHART = places.ROOT / "charts/model-rollback-operator"
NAME = "model-rollback-operator"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Release:
    """One `helm install` of the chart in a namespace of its own."""

    name: str
    namespace: str
    watched: str
    """A namespace that the operator works in."""
    kubectl: Kubectl
    """As the cluster's administrator."""

    @property
    def full_name(self) -> str:
        return f"{self.name}-{NAME}"


@pytest.fixture(scope="session")
def chart() -> Path:
    return CHART


@pytest.fixture(scope="session")
def offline_helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """helm for what needs no cluster."""
    home = tmp_path_factory.mktemp("helm")
    folders = {f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")}
    return Helm(places.binaries() / "helm", {"PATH": "", "HOME": str(home), **folders})


@pytest.fixture
def render(offline_helm: Helm, chart: Path) -> Callable[..., list[Manifest]]:
    """`render(**values)`: the objects that the chart makes of these values on top of its defaults."""

    def template(**values: Any) -> list[Manifest]:
        words = ["template", "demo", chart, "--kube-version=1.30.0", "--values=-"]
        text = offline_helm(*words, namespace="operators", stdin=yaml.safe_dump(values))
        return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]

    return template


@pytest.fixture(scope="module")
def fresh_namespace(cluster: Cluster) -> Iterator[Callable[..., str]]:
    """`fresh_namespace(prefix, *labels)`: a namespace for the tests of one module."""
    kubectl = Kubectl(cluster.binaries / "kubectl", cluster.environment)
    made: list[str] = []

    def make(prefix: str, *labels: str) -> str:
        name = f"{prefix}-{uuid.uuid4().hex[:6]}"
        kubectl("create", "namespace", name)
        made.append(name)
        if labels:
            kubectl("label", "namespace", name, *labels)
        return name

    yield make
    for name in made:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def install(cluster: Cluster, fresh_namespace: Callable[..., str]) -> Iterator[Callable[..., Release]]:
    """`install(watched=NAMESPACE, *options)`: installs, waits until the Deployment is ready; uninstalls at the end.

    CRDs may be there from other tests, applied by kubectl: hence --take-ownership and --force-conflicts.
    """
    helm = Helm(cluster.binaries / "helm", cluster.environment)
    kubectl = Kubectl(cluster.binaries / "kubectl", cluster.environment)
    releases: list[tuple[str, str]] = []

    def run(*options: str, watched: str) -> Release:
        namespace = fresh_namespace("chart", "pod-security.kubernetes.io/enforce=restricted")
        name = f"r{uuid.uuid4().hex[:6]}"
        releases.append((name, namespace))
        helm(
            *(
                "install",
                name,
                CHART,
                "--take-ownership",
                "--force-conflicts",
                "--wait",
                "--timeout=100s",
                *options,
            ),
            namespace=namespace,
        )
        return Release(name, namespace, watched, kubectl)

    yield run
    for name, namespace in releases:
        helm("uninstall", name, "--ignore-not-found", namespace=namespace)
