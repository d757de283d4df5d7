"""Idle is free: what changes nothing costs the API server nothing, however many policies there are."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import Gauge

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World
from tests.support.audit import Audit
from tests.support.cluster import Cluster
from tests.support.commands import Helm, Kubectl
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess, Operators, grant_rights
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

TICKS = 40
MODELS = [f"model-{number:02}" for number in range(50)]
TICKED = "model_rollback_tick_seconds_count"


class Fleet(World):
    """A second namespace with fifty systems and a policy for each. They share one query and differ in `series`."""

    def __init__(self, kubectl: Kubectl, namespace: str, prometheus: Prometheus) -> None:
        super().__init__(kubectl, namespace, prometheus)
        self._quality: Gauge = self.exporter.gauge("fleet_quality", labels=["model"])
        manifests = []
        for model in MODELS:
            self._quality.labels(model).set(GOOD)
            manifests += [
                systems.deployment("v12", name=model),
                systems.model_deployment(model),
                self._policy(model),
            ]
        prometheus.scraped(self.exporter)
        self.apply(*manifests)

    def _policy(self, model: str) -> systems.Manifest:
        trigger = {
            "name": "quality",
            "query": f'fleet_quality{{job="{self.exporter.job}"}}',
            "series": {"model": model},
            "breach": {"operator": "LessThan", "threshold": "0.90"},
        }
        return systems.policy(self.namespace, model, modelDeploymentRef={"name": model}, triggers=[trigger])

    def spoil(self, model: str) -> None:
        """One of them goes bad."""
        self._quality.labels(model).set(BAD)

    def verified(self) -> int:
        """How many have a Verified version."""
        items = self.kubectl.json("get", "modeldeployments", namespace=self.namespace)["items"]
        return sum(1 for i in items if i.get("status", {}).get("lastVerifiedVersion"))


@pytest.fixture
def fleet(
    kubectl: Kubectl, helm: Helm, namespace: str, prometheus: Prometheus, world: World
) -> Iterator[Fleet]:
    """`world` has given the CRDs."""
    name = f"{namespace[:50]}-fleet"
    kubectl("create", "namespace", name)
    grant_rights(helm, kubectl, name)
    yield Fleet(kubectl, name, prometheus)
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def fleet_operator(
    fleet: Fleet, cluster: Cluster, service_account_kubeconfig: Callable[[str, str], Path], tmp_path: Path
) -> Iterator[OperatorProcess]:
    """The operator of the fleet, with rights in its namespace."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    kubeconfig = service_account_kubeconfig(fleet.namespace, SERVICE_ACCOUNT)
    running = Operators(kubeconfig, fleet.namespace, cluster.prometheus_url, folder)
    yield running.start()
    running.end()


def test_fifty_healthy_policies_cost_the_api_server_no_more_than_one(
    protected: World, operator: OperatorProcess, fleet: Fleet, fleet_operator: OperatorProcess, audit: Audit
) -> None:
    pairs = ((protected, operator), (fleet, fleet_operator))
    wait_until(fleet.verified, 90, accept=lambda n: n == len(MODELS), describe="all of them to be Verified")
    wait_until(
        lambda: all(not _requests_of_ticks(audit, world, process, 2) for world, process in pairs),
        90,
        describe="both to settle",
    )

    mark = audit.mark()
    until = [process.metric(TICKED) + TICKS for _, process in pairs]
    for (_, process), ticks in zip(pairs, until, strict=True):
        wait_until(partial(_has_reached, process, ticks), TICKS + 60, describe=f"{TICKS} ticks")
    one, fifty = (_requests(audit, mark, world) for world, _ in pairs)
    assert fifty == one, f"requests of {TICKS} ticks, watches apart"
    assert fifty == Counter()

    fleet.deploy("v13", name="model-07")
    wait_until(
        lambda: fleet.status(name="model-07").get("currentVersion"),
        accept=lambda v: v == "v13",
        describe="v13",
    )
    fleet.spoil("model-07")
    wait_until(
        lambda: fleet.image("model-07"),
        accept=lambda image: image.endswith(":v12"),
        describe="v12 to be back",
    )
    assert fleet.rollback()["spec"]["policyRef"]["name"] == "model-07"
    assert _requests(audit, mark, fleet)["patch deployments/"] >= 2, (
        "a dry run and a patch, seen by the same count"
    )


def _has_reached(process: OperatorProcess, ticks: float) -> bool:
    return process.metric(TICKED) >= ticks


def _requests(audit: Audit, mark: int, world: World) -> Counter[str]:
    """What the operator asked of the API server since then; watches apart."""
    requests = audit.since(mark, user=world.actor)
    return Counter(f"{e.verb} {e.resource}/{e.subresource}" for e in requests if e.verb != "watch")


def _requests_of_ticks(audit: Audit, world: World, process: OperatorProcess, ticks: int) -> Counter[str]:
    mark = audit.mark()
    world.wait_for_ticks(process, ticks)
    return _requests(audit, mark, world)
