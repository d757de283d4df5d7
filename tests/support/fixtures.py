"""The fixtures that every test on a cluster shares; `tests/conftest.py` makes them known to pytest.

The cluster lives as long as the test run; everything else belongs to one test.
"""

import argparse
import contextlib
import os
import re
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pykube
import pytest
from pytest_kind import KindCluster

from tests.support import places, real_kind
from tests.support.administrator import Administrator
from tests.support.audit import Audit
from tests.support.cluster import Cluster
from tests.support.commands import Helm, Kubectl
from tests.support.identity import service_account_kubeconfig as write_kubeconfig
from tests.support.last_will import last_will
from tests.support.operator import SERVICE_ACCOUNT, Operators, grant_rights
from tests.support.prometheus import Prometheus
from tests.support.prometheus_process import running_prometheus

LOGS = pytest.StashKey[str]()
"""Where the logs of this run were kept, if something failed, in a sentence."""


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, scratch: Path) -> Iterator[places.Place]:
    """Decides where the cluster runs, tells pytest-kind, and takes the cluster down whatever happened to it."""
    options = request.config.option
    where: places.Place
    try:
        where = "context" if options.use_context else places.decide(options.cluster_in)
        programs = places.programs(where, places.binaries())
    except places.PlaceError as error:
        pytest.fail(str(error), pytrace=False)
    options.kind_bin = options.kind_bin or str(programs.kind)
    options.kind_kubectl_bin = options.kind_kubectl_bin or str(programs.kubectl)
    options.kubeconfig = options.kubeconfig or str(scratch / "kubeconfig")
    if options.keep_cluster:
        os.environ["LOCALCLUSTER_KEEP"] = "1"
    delete = [options.kind_bin, "delete", "cluster", f"--name={options.cluster_name}"]
    delete += [f"--kubeconfig={options.kubeconfig}"]
    with contextlib.ExitStack() as stack:
        if where == "kind" and not options.keep_cluster:
            shared = real_kind.Shared(options.cluster_name)
            stack.callback(shared.remove)
            stack.enter_context(last_will(f"{shlex.join(delete)}; rm -rf {shlex.quote(str(shared.folder))}"))
        yield where
        if where != "context" and not options.keep_cluster:
            subprocess.run(delete, capture_output=True, check=False)
    sweep_empty_folders(request.config.invocation_params.dir / ".pytest-kind")


def sweep_empty_folders(below: Path) -> None:
    """Remove what pytest-kind leaves in the working directory, also of runs that were killed."""
    for folder in [*below.glob("*"), below]:
        with contextlib.suppress(OSError):
            folder.rmdir()


@pytest.fixture(scope="session")
def kind_cluster(request: pytest.FixtureRequest, place: places.Place, scratch: Path) -> KindCluster:
    """pytest-kind's own fixture; a context of the user's is neither created nor deleted."""
    options = request.config.option
    if place == "kind":
        bring_kind_up(options)  # pytest-kind's fixture finds it there
    if place != "context":
        created: KindCluster = request.getfixturevalue("kind_cluster")
        return created
    kubeconfig = scratch / "context.kubeconfig"  # never the file that the user named
    places.extract_context(options.use_context, Path(options.kind_kubectl_bin), kubeconfig)
    adopted = KindCluster(options.cluster_name, kubeconfig, kubectl_path=Path(options.kind_kubectl_bin))
    adopted.api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(kubeconfig)))
    return adopted


def bring_kind_up(options: argparse.Namespace) -> None:
    """The cluster that pytest-kind would create, with what the tests need beyond that."""
    cluster = KindCluster(
        options.cluster_name,
        Path(options.kubeconfig),
        image=options.kind_image,
        kind_path=Path(options.kind_bin),
        kubectl_path=Path(options.kind_kubectl_bin),
    )
    try:
        real_kind.bring_up(cluster, places.binaries() / "kwok")
    except places.PlaceError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, kind_cluster: KindCluster, place: places.Place, scratch: Path
) -> Iterator[Cluster]:
    """The cluster with its Prometheus and audit log, as values."""
    with contextlib.ExitStack() as stack:
        if place == "local":
            about = places.local_cluster(kind_cluster.name)
            url, configuration = about["PROMETHEUS_URL"], Path(about["LOCALCLUSTER_PROMETHEUS_CONFIG"])
            audit_log: Path | None = Path(about["LOCALCLUSTER_AUDIT_LOG"])
            pod_log: Path | None = Path(about["LOCALCLUSTER_POD_LOG"])
            stack.callback(end_failed_run, request, kind_cluster.name)
        else:
            folder = scratch / "prometheus"
            url, configuration = stack.enter_context(
                running_prometheus(places.binaries() / "prometheus", folder)
            )
            audit_log = pod_log = None
        if place == "kind":
            shared = real_kind.Shared(kind_cluster.name)
            audit_log, pod_log = shared.audit_log, shared.pod_log
            stack.callback(keep_logs_of_failed_run, request, kind_cluster, scratch / "kind-logs")
        yield Cluster(
            place=place,
            kubeconfig=Path(kind_cluster.kubeconfig_path),
            binaries=Path(request.config.option.kind_kubectl_bin).parent,
            prometheus_url=url,
            prometheus_configuration=configuration,
            audit_log=audit_log,
            pod_log=pod_log,
            scratch=scratch,
        )


def end_failed_run(request: pytest.FixtureRequest, name: str) -> None:
    """After a failure the local control plane ends with its logs kept; where, stands above the summary."""
    if request.session.testsfailed and not request.config.option.keep_cluster:
        tell_of_logs(request.config, places.down_with_logs(name))


def keep_logs_of_failed_run(request: pytest.FixtureRequest, cluster: KindCluster, folder: Path) -> None:
    """After a failure on kind the node's logs are kept before it goes."""
    if request.session.testsfailed:
        tell_of_logs(request.config, real_kind.keep_logs(cluster, folder))


def tell_of_logs(config: pytest.Config, told: str) -> None:
    """Say it at the end of the run, from a worker of pytest-xdist too."""
    config.stash[LOGS] = told
    if hasattr(config, "workeroutput"):
        config.workeroutput["logs"] = told


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """kubectl as the cluster's administrator."""
    return Kubectl(cluster.binaries / "kubectl", cluster.environment)


@pytest.fixture(scope="session")
def helm(cluster: Cluster) -> Helm:
    """helm as the cluster's administrator, with settings and caches of its own."""
    return Helm(cluster.binaries / "helm", cluster.environment)


@pytest.fixture
def namespace(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[str]:
    """A fresh namespace, named after the test. It is deleted afterwards; nobody waits for that.

    On a local cluster, which ends with the test run, only what has pods is deleted: the node holds 110 of them.
    """
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    name = f"t-{words[:40].strip('-')}-{uuid.uuid4().hex[:6]}"
    administrator = Administrator(cluster.kubeconfig, name)
    administrator.create_namespace()
    yield name
    if cluster.place == "local":
        administrator.delete_workloads()
    else:
        administrator.delete_namespace()


@pytest.fixture
def prometheus(cluster: Cluster) -> Iterator[Prometheus]:
    """The cluster's Prometheus; scrape jobs that the test adds are removed afterwards."""
    with contextlib.closing(Prometheus(cluster.prometheus_url, cluster.prometheus_configuration)) as client:
        yield client


@pytest.fixture(scope="session")
def audit(cluster: Cluster) -> Audit:
    """The API server's audit log as data; skips where there is none to read."""
    if cluster.audit_log is None:
        pytest.skip(f"the audit log of a cluster in `{cluster.place}` cannot be read from here")
    return Audit(cluster.audit_log, Administrator(cluster.kubeconfig, "default").get_raw)


@pytest.fixture
def service_account_kubeconfig(kubectl: Kubectl, tmp_path: Path) -> Callable[[str, str], Path]:
    """`service_account_kubeconfig(namespace, name)`: a kubeconfig with that account's token and nothing else."""
    return lambda namespace, name: write_kubeconfig(kubectl, namespace, name, tmp_path)


@pytest.fixture
def operators(
    cluster: Cluster,
    namespace: str,
    helm: Helm,
    kubectl: Kubectl,
    service_account_kubeconfig: Callable[[str, str], Path],
    tmp_path: Path,
) -> Iterator[Operators]:
    """`operators.start()`: the operator as a process on this test's namespace, with the chart's rights there."""
    grant_rights(helm, kubectl, namespace)
    kubeconfig = service_account_kubeconfig(namespace, SERVICE_ACCOUNT)
    running = Operators(kubeconfig, namespace, cluster.prometheus_url, tmp_path)
    yield running
    running.end()
