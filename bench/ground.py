"""A cluster of its own for one bench, and the operator as a process on it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.audit import Audit
from tests.support.commands import Helm, Kubectl
from tests.support.identity import service_account_kubeconfig
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess, grant_rights
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / "hack/localcluster/localcluster"
NAMESPACE = "bench"


@dataclass
class Ground:
    """Where a bench runs. `watched`: the operator's process also says how late its event loop is."""

    kubectl: Kubectl
    helm: Helm
    prometheus: Prometheus
    audit: Audit
    kubeconfig: Path
    folder: Path
    controllers: int
    """Process id of the controller manager."""
    running: list[OperatorProcess] = field(default_factory=list)

    def prepare(self) -> None:
        """The namespace and the operator's rights in it; from then on the bench plays the controllers.

        Ten thousand real rollouts take two cores many minutes and are not what is measured.
        """
        self.kubectl("create", "namespace", NAMESPACE)
        grant_rights(self.helm, self.kubectl, NAMESPACE)
        wait_until(
            lambda: "default" in self.kubectl("get", "serviceaccounts", "-o", "name", namespace=NAMESPACE),
            describe="the namespace to be complete",
        )
        self.credentials = service_account_kubeconfig(self.kubectl, NAMESPACE, SERVICE_ACCOUNT, self.folder)
        os.kill(self.controllers, signal.SIGSTOP)

    def operator(self, policies: int, **settings: Any) -> OperatorProcess:
        """Starts the operator; `Watch` reads what it says of itself once it has seen that many policies."""
        number = len(self.running)
        configuration = self.folder / f"operator-{number}.yaml"
        configuration.write_text(
            yaml.safe_dump(
                {
                    "metricsSources": {"default": {"url": self.prometheus.url, "timeout": "4s"}},
                    "namespaces": [NAMESPACE],
                    "log": {"format": "json", "level": "info"},
                    "http": {"host": "127.0.0.1", "port": 0},
                    **settings,
                }
            )
        )
        log = self.folder / f"operator-{number}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.watched", "--config", str(configuration)],
                env={
                    **{n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"},
                    "KUBECONFIG": str(self.credentials),
                    "BENCH_WATCH": str(self.folder / f"watch-{number}.json"),
                    "BENCH_POLICIES": str(policies),
                },
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        started = OperatorProcess(process, log)
        self.running.append(started)
        return started.wait_ready()

    def watch_file(self) -> Path:
        """What the newest operator says of itself."""
        return self.folder / f"watch-{len(self.running) - 1}.json"


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """A cluster that is gone afterwards."""
    name = f"bench-{os.getpid()}"
    subprocess.run([TOOL, "up", name, "--owner", str(os.getpid()), "--disable-qps-limits"], check=True)
    stopped: Ground | None = None
    try:
        answer = subprocess.run([TOOL, "env", name, "--json"], check=True, capture_output=True, text=True)
        environment: dict[str, str] = json.loads(answer.stdout)
        with tempfile.TemporaryDirectory() as folder:
            stopped = _ground(environment, Path(folder))
            try:
                yield stopped
            finally:
                if keep := os.environ.get("BENCH_KEEP"):
                    subprocess.run(["cp", "-r", folder, keep], check=False)
                for operator in stopped.running:
                    operator.kill()
                stopped.prometheus.close()
    finally:
        if stopped is not None:
            os.kill(stopped.controllers, signal.SIGCONT)
        subprocess.run([TOOL, "down", name], check=False)


def _ground(environment: dict[str, str], folder: Path) -> Ground:
    programs = Path(environment["LOCALCLUSTER_BIN"])
    whole = {**os.environ, **environment}
    kubectl = Kubectl(programs / "kubectl", whole)
    log = Path(environment["LOCALCLUSTER_AUDIT_LOG"])
    return Ground(
        kubectl=kubectl,
        helm=Helm(programs / "helm", whole),
        prometheus=Prometheus(
            environment["PROMETHEUS_URL"], Path(environment["LOCALCLUSTER_PROMETHEUS_CONFIG"])
        ),
        audit=Audit(log, lambda path: kubectl("get", "--raw", path)),
        kubeconfig=Path(environment["KUBECONFIG"]),
        folder=folder,
        controllers=int((log.parents[1] / "pids/kube-controller-manager.pid").read_text()),
    )
