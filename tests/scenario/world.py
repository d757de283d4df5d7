"""A recommender in one namespace: deploy a version, set its quality, look at what the operator made of it."""

from collections.abc import Callable
from typing import Any

from prometheus_client import Gauge

from tests.scenario import systems
from tests.support.commands import Kubectl
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

GOOD, BAD = 0.97, 0.62


class World:
    """One namespace with the manifests of `systems` and an exporter whose accuracy a test sets."""

    def __init__(self, kubectl: Kubectl, namespace: str, prometheus: Prometheus) -> None:
        self.kubectl = kubectl
        self.namespace = namespace
        self.prometheus = prometheus
        self.exporter = prometheus.exporter(f"quality-{namespace}")
        self._gauge = Gauge(
            "model_quality", "Quality of the model.", ["metric", "namespace"], registry=self.exporter.registry
        )

    def quality(self, value: float) -> None:
        """What the model's accuracy is from now on; returns when Prometheus has it."""
        self._gauge.labels("accuracy", self.namespace).set(value)
        self.prometheus.scraped(self.exporter)

    def apply(self, *manifests: systems.Manifest) -> None:
        """kubectl apply."""
        self.kubectl.apply(list(manifests), namespace=self.namespace)

    def deploy(self, version: str, **options: Any) -> None:
        """Applies a version of the recommender and does not wait for it."""
        self.apply(systems.deployment(version, **options))

    def get(self, kind: str, name: str = "recommender") -> dict[str, Any]:
        """One object."""
        found: dict[str, Any] = self.kubectl.json("get", kind, name, namespace=self.namespace)
        return found

    def image(self) -> str:
        """What the Deployment's pod template names."""
        containers = self.get("deployment")["spec"]["template"]["spec"]["containers"]
        return str(containers[0]["image"])

    def rollbacks(self) -> list[dict[str, Any]]:
        """All Rollbacks of the namespace."""
        items: list[dict[str, Any]] = self.kubectl.json("get", "rollbacks", namespace=self.namespace)["items"]
        return items

    def rollback(self) -> dict[str, Any]:
        """The only Rollback; fails when there is none or more than one."""
        found = self.rollbacks()
        assert len(found) == 1, f"{len(found)} rollbacks: {[r['metadata']['name'] for r in found]}"
        return found[0]

    def wait_for_result(self, timeout: float = 60) -> dict[str, Any]:
        """The only Rollback, once it is finished."""
        return wait_until(
            self.rollback,
            timeout,
            accept=lambda r: r.get("status", {}).get("result"),
            describe="the Rollback to finish",
        )

    def wait_for_version(self, version: str, *, verified: bool = False, timeout: float = 60) -> None:
        """Until the ModelDeployment says that this version is live (and Verified)."""

        def holds(status: dict[str, Any]) -> bool:
            return status.get("currentVersion") == version and (
                not verified or status.get("lastVerifiedVersion") == version
            )

        wait_until(
            lambda: self.get("modeldeployment").get("status", {}),
            timeout,
            accept=holds,
            describe=f"{version} to be live{' and Verified' if verified else ''}",
        )

    def wait_for_condition(
        self,
        kind: str,
        type_: str,
        accept: Callable[[dict[str, Any]], object],
        name: str = "recommender",
        timeout: float = 60,
    ) -> dict[str, Any]:
        """The condition, once it is accepted."""

        def look() -> dict[str, Any]:
            conditions = self.get(kind, name).get("status", {}).get("conditions", [])
            return next((c for c in conditions if c["type"] == type_), {})

        return wait_until(look, timeout, accept=accept, describe=f"condition {type_} of {kind} {name}")

    def events(self, reason: str) -> list[dict[str, Any]]:
        """Events of that reason in the namespace."""
        items = self.kubectl.json("get", "events.events.k8s.io", namespace=self.namespace)["items"]
        return [e for e in items if e["reason"] == reason]
