"""The operator as a process, as a user runs it outside a cluster: the chart's rights, a configuration file, its log.

Each one watches one namespace with a Role there and nothing else, so tests share a cluster without meeting.
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.support import places
from tests.support.administrator import Administrator
from tests.support.commands import Helm, Kubectl
from tests.support.forked import ForkedModule
from tests.support.waiting import wait_until

CHART = places.ROOT / "charts/model-rollback-operator"
SERVICE_ACCOUNT = "operator-model-rollback-operator"


def grant_rights(helm: Helm, kubectl: Kubectl, namespace: str, *values: str) -> None:
    """The chart's ServiceAccount, Role and RoleBinding for one namespace, and the CRDs. `values`: as for `--set`."""
    administrator = Administrator(kubectl.kubeconfig, namespace)
    if not administrator.serves("modelrollback.dev/v1alpha1"):
        kubectl("apply", "--server-side", f"--filename={places.ROOT / 'crds'}")
        kubectl("wait", "--for=condition=Established", f"--filename={places.ROOT / 'crds'}")
    administrator.apply(*rights_in(namespace, chart_rights(helm, *values)))


ANY_NAMESPACE = "namespace-of-the-test"


def rights_in(namespace: str, rights: str) -> list[dict[str, Any]]:
    """The objects of `chart_rights` for that namespace."""
    objects: list[dict[str, Any]] = json.loads(_as_json(rights).replace(ANY_NAMESPACE, namespace))
    return objects


@cache
def _as_json(rights: str) -> str:
    """Read once: to read YAML takes longer than to apply what it says."""
    return json.dumps(list(yaml.safe_load_all(rights)))


def chart_rights(helm: Helm, *values: str) -> str:
    """The manifests of these rights, for a namespace that ANY_NAMESPACE stands for. `values`: of the chart."""
    return _rights(helm.program, tuple(helm.environment.items()), values)


@cache
def _rights(program: Path, environment: tuple[tuple[str, str], ...], values: tuple[str, ...]) -> str:
    """Rendered once for a test run."""
    return Helm(program, dict(environment))(
        "template",
        "operator",
        CHART,
        "--set",
        f"watchNamespaces={{{ANY_NAMESPACE}}}",
        *(f"--set={value}" for value in values),
        "--show-only=templates/rbac.yaml",
        "--show-only=templates/serviceaccount.yaml",
        namespace=ANY_NAMESPACE,
    )


@dataclass
class OperatorProcess:
    """One running operator. `stop` is SIGTERM, `kill` is SIGKILL."""

    process: ForkedModule | subprocess.Popen[bytes]
    log: Path
    _url: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self) -> list[dict[str, Any]]:
        """Its log so far, parsed; a line that is no JSON is given as {"raw": …}."""
        parsed = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                parsed.append(json.loads(line))
            except ValueError:
                parsed.append({"raw": line})
        return parsed

    @property
    def url(self) -> str:
        """Of `/healthz`, `/readyz` and `/metrics`."""
        if not self._url:
            started = next((line for line in self.lines() if line.get("event") == "operator started"), None)
            assert started is not None, f"the operator has not started: {self.log.read_text()[-2000:]}"
            self._url = f"http://127.0.0.1:{started['port']}"
        return self._url

    def wait_ready(self) -> "OperatorProcess":
        """Until it watches; fails at once, with its log, when it has ended."""

        def ready() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"operator ended ({self.process.returncode}): {self.log.read_text()[-3000:]}"
                )
            with contextlib.suppress(requests.ConnectionError):
                return bool(requests.get(f"{self.url}/readyz", timeout=5).ok)
            return False

        wait_until(ready, 60, describe="the operator to be ready")
        return self

    def metric(self, name: str, **labels: str) -> float:
        """A value of its own /metrics; 0 when it is not there."""
        wanted = name + (
            "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}" if labels else ""
        )
        for line in requests.get(f"{self.url}/metrics", timeout=5).text.splitlines():
            if line.startswith(wanted + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def stop(self, timeout: float = 20) -> int:
        """SIGTERM, and its exit code; fails when it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, as a node that loses power."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


class Operators:
    """Starts operators for one namespace of one test and ends them all."""

    def __init__(self, kubeconfig: Path, namespace: str, prometheus_url: str, folder: Path) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._prometheus_url = prometheus_url
        self._folder = folder
        self.running: list[OperatorProcess] = []

    def start(
        self,
        *,
        kubeconfig: Path | None = None,
        sources: Mapping[str, Any] | None = None,
        resolve: tuple[str, ...] = (),
        allowed_hosts: tuple[str, ...] = (),
        names: Mapping[str, Sequence[str]] | None = None,
        brake: Mapping[str, Any] | None = None,
        elects: bool = False,
        target_kinds: Path | None = None,
        wait: bool = True,
    ) -> OperatorProcess:
        """A new operator process; ready when it returns, unless `wait` is false.

        `elects`: it is one of several replicas, and the Lease of the namespace says which of them writes.

        `kubeconfig`: other credentials or another way to the API server. `sources`: instead of the real Prometheus.
        `target_kinds`: a folder with more presets. `names`: what DNS says to it, see `ForkedModule`.
        """
        number = len(self.running)
        configuration = self._folder / f"operator-{number}.yaml"
        configuration.write_text(
            yaml.safe_dump(
                {
                    "metricsSources": sources or {"default": {"url": self._prometheus_url, "timeout": "2s"}},
                    "namespaces": [self._namespace],
                    **({"targetKinds": str(target_kinds)} if target_kinds is not None else {}),
                    "probes": {"resolve": list(resolve), "allowedHosts": list(allowed_hosts)},
                    "brake": dict(brake or {}),
                    "log": {"format": "json", "level": "info"},
                    "http": {"host": "127.0.0.1", "port": 0},
                    "leaderElection": {
                        "enabled": elects,
                        "namespace": self._namespace,
                        "name": SERVICE_ACCOUNT,
                    },
                    "podName": f"operator-{number}",
                }
            )
        )
        log = self._folder / f"operator-{number}.log"
        process = ForkedModule(
            "model_rollback",
            ["--config", str(configuration)],
            {**os.environ, "KUBECONFIG": str(kubeconfig or self._kubeconfig)},
            log,
            names=names,
        )
        started = OperatorProcess(process, log)
        self.running.append(started)
        return started.wait_ready() if wait else started

    def end(self) -> None:
        """Kills what still runs and prints each log, which pytest shows for a test that failed."""
        for operator in self.running:
            operator.kill()
            print(f"--- {operator.log}\n{operator.log.read_text(errors='replace')}")
