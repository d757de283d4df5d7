"""How long from the first moment at which a breaching sample can be queried to the patch of the Deployment.

One policy per trial breaches at a random moment while all others are healthy. `visible`: a 10 ms poller sees the
sample in Prometheus. `patched`: the API server's audit log says that it answered the operator's patch. Scrape and
interval are both one second and `for` is zero, so a free-running tick alone costs half a second on average.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import Gauge

from model_rollback.adapters.connection import connect
from model_rollback.adapters.objects import ClusterObjects
from model_rollback.ports import ObjectRef
from tests.scenario import systems
from tests.support.audit import Audit
from tests.support.commands import Helm, Kubectl
from tests.support.identity import service_account_kubeconfig
from tests.support.operator import SERVICE_ACCOUNT, Operators, grant_rights
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / "hack/localcluster/localcluster"
NAMESPACE = "bench"
GOOD, BAD = 0.97, 0.5


def manifests(name: str) -> list[systems.Manifest]:
    """One system that is Verified soon, and a policy that fires on its first bad sample."""
    policy = systems.policy(NAMESPACE, name)
    policy["spec"] |= {
        "modelDeploymentRef": {"name": name},
        "triggers": [
            {
                "name": "accuracy",
                "query": "model_quality",
                "series": {"model": name},
                "breach": {"operator": "LessThan", "threshold": "0.90"},
            }
        ],
    }
    return [systems.model_deployment(name), policy]


class Bench:
    """A cluster with `count` protected systems, all of which run v13 and have a Verified v12."""

    def __init__(self, environment: dict[str, str], folder: Path, count: int) -> None:
        bin_folder = Path(environment["LOCALCLUSTER_BIN"])
        self.kubectl = Kubectl(bin_folder / "kubectl", {**os.environ, **environment})
        self.helm = Helm(bin_folder / "helm", {**os.environ, **environment})
        self.prometheus = Prometheus(
            environment["PROMETHEUS_URL"], Path(environment["LOCALCLUSTER_PROMETHEUS_CONFIG"])
        )
        self.audit = Audit(
            Path(environment["LOCALCLUSTER_AUDIT_LOG"]), lambda path: self.kubectl("get", "--raw", path)
        )
        self.kubeconfig = Path(environment["KUBECONFIG"])
        self.folder = folder
        self.names = [f"model-{n:04d}" for n in range(count)]
        self.gauge: Gauge

    def set_up(self) -> Operators:
        """Everything up to `armed`."""
        self.kubectl("create", "namespace", NAMESPACE)
        grant_rights(self.helm, self.kubectl, NAMESPACE)
        exporter = self.prometheus.exporter("bench", interval="1s")
        self.gauge = exporter.gauge("model_quality", labels=["model"])
        for name in self.names:
            self.gauge.labels(name).set(GOOD)
        self.prometheus.scraped(exporter)
        self.kubectl.apply([systems.deployment("v12", name=n) for n in self.names], namespace=NAMESPACE)
        self.kubectl.apply([m for n in self.names for m in manifests(n)], namespace=NAMESPACE)
        credentials = service_account_kubeconfig(self.kubectl, NAMESPACE, SERVICE_ACCOUNT, self.folder)
        operators = Operators(credentials, NAMESPACE, self.prometheus.url, self.folder)
        operators.start()
        self._wait("v12", "lastVerifiedVersion")
        self.kubectl.apply([systems.deployment("v13", name=n) for n in self.names], namespace=NAMESPACE)
        self._wait("v13", "currentVersion")
        return operators

    def _wait(self, version: str, field: str) -> None:
        def all_there() -> bool:
            items = self.kubectl.json("get", "modeldeployments", namespace=NAMESPACE)["items"]
            return len(items) == len(self.names) and all(
                i.get("status", {}).get(field) == version for i in items
            )

        wait_until(all_there, 300, describe=f"{field} to be {version} everywhere")

    def breach(self, name: str) -> float:
        """Seconds from visible to patched."""
        time.sleep(random.random())
        mark = self.audit.mark()
        self.gauge.labels(name).set(BAD)
        while not self.prometheus.query(f'model_quality{{model="{name}"}} < 0.9'):
            time.sleep(0.01)
        visible = time.time()
        wait_until(
            lambda: self.kubectl("get", "deployment", name, "--output=yaml", namespace=NAMESPACE),
            60,
            accept=lambda text: f"{name}:v12" in text.split("\nspec:", 1)[1],
            describe=f"{name} to be patched",
        )
        patches = [
            e
            for e in self.audit.since(mark, verb="patch", resource="deployments", namespace=NAMESPACE)
            if e.name == name and e.writes and not e.subresource and e.user.endswith(SERVICE_ACCOUNT)
        ]
        assert len(patches) == 1, f"{len(patches)} patches of {name}"
        answered = datetime.fromisoformat(patches[0].raw["stageTimestamp"]).timestamp()
        self.gauge.labels(name).set(GOOD)
        return answered - visible

    def floors(self) -> dict[str, list[float]]:
        """The machine's own: one raw instant query, one raw JSON Patch."""
        queries = []
        for _ in range(50):
            began = time.perf_counter()
            self.prometheus.query("model_quality")
            queries.append(time.perf_counter() - began)
        return {"query": queries, "patch": asyncio.run(self._patches())}

    async def _patches(self) -> list[float]:
        connection = await connect(str(self.kubeconfig))
        objects = ClusterObjects(connection)
        ref = ObjectRef("apps/v1", "Deployment", NAMESPACE, self.names[0])
        took = []
        try:
            for n in range(50):
                change = [{"op": "add", "path": "/metadata/labels", "value": {"floor": str(n)}}]
                began = time.perf_counter()
                await objects.patch_json(ref, change)
                took.append(time.perf_counter() - began)
        finally:
            await connection.close()
        return took


def quantile(values: list[float], q: float) -> float:
    """The nearest-rank quantile in milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def table(rows: dict[str, list[float]]) -> str:
    """Markdown, in milliseconds."""
    lines = ["| measured | n | p50 | p90 | max |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {len(v)} | {1000 * statistics.median(v):.0f} | {quantile(v, 0.9):.0f} | {1000 * max(v):.0f} |"
        for name, v in rows.items()
    ]
    return "\n".join(lines) + "\n"


def run(count: int) -> dict[str, list[float]]:
    """Brings up a cluster of its own, measures, and takes it down."""
    name = f"bench-{os.getpid()}"
    subprocess.run([TOOL, "up", name, "--owner", str(os.getpid())], check=True)
    try:
        answer = subprocess.run([TOOL, "env", name, "--json"], check=True, capture_output=True, text=True)
        environment: dict[str, Any] = json.loads(answer.stdout)
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(environment, Path(folder), count)
            operators = bench.set_up()
            try:
                measured = [bench.breach(n) for n in bench.names]
                floors = bench.floors()
            finally:
                for operator in operators.running:
                    operator.kill()
                bench.prometheus.close()
    finally:
        subprocess.run([TOOL, "down", name], check=False)
    return {
        "breaching sample visible → Deployment patched (scrape 1s, interval 1s, for 0s)": measured,
        "floor: one instant query": floors["query"],
        "floor: one JSON Patch of a Deployment": floors["patch"],
    }


def main() -> int:
    """Prints the table and writes RESULTS.md and results.json beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    rows = run(parser.parse_args().trials)
    text = f"# Results\n\nMilliseconds on one machine with {os.cpu_count()} cores, `make bench`.\n\n{table(rows)}"
    print(text)
    (ROOT / "bench/RESULTS.md").write_text(text)
    (ROOT / "bench/results.json").write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
