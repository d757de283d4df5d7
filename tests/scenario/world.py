"""A recommender in one namespace: deploy a version, set its quality, look at what the operator made of it."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import Gauge

from tests.scenario import systems
from tests.support import writing
from tests.support.commands import CommandError, Kubectl
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

GOOD, BAD = 0.97, 0.62

Object = dict[str, Any]


class World:
    """One namespace with the manifests of `systems` and an exporter whose accuracy a test sets."""

    def __init__(self, kubectl: Kubectl, namespace: str, prometheus: Prometheus) -> None:
        self.kubectl = kubectl
        self.namespace = namespace
        self.prometheus = prometheus
        self.actor = f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}"
        """The operator's user name."""
        self.exporter = prometheus.exporter(f"quality-{namespace}")
        self._gauge = Gauge(
            "model_quality", "Quality of the model.", ["metric", "namespace"], registry=self.exporter.registry
        )

    # --- what people do ----------------------------------------------------------------------------------------

    def quality(self, value: float, metric: str = "accuracy") -> None:
        """What the model's accuracy is from now on; returns when Prometheus has it."""
        self._gauge.labels(metric, self.namespace).set(value)
        self.prometheus.scraped(self.exporter)

    def gauge(self, metric: str, value: float) -> None:
        """Another metric of the model; not waited for."""
        self._gauge.labels(metric, self.namespace).set(value)

    def apply(self, *manifests: systems.Manifest) -> None:
        """What is wanted from now on; raises CommandError when the API server refuses."""
        writing.apply(self.kubectl, *manifests, namespace=self.namespace)

    def deploy(self, version: str, **options: Any) -> None:
        """Applies a version of the recommender and does not wait for it."""
        self.apply(systems.deployment(version, **options))

    def patch(self, kind: str, spec: Object, name: str = "recommender") -> None:
        """Changes fields of the spec."""
        writing.patch(self.kubectl, kind, name, {"spec": spec}, namespace=self.namespace)

    def say(self, intent: str) -> None:
        """A person tells the only Rollback what is wanted; raises CommandError when the API server refuses."""
        self.patch("rollback", {"intent": intent}, self.rollback()["metadata"]["name"])

    def refusal(self, intent: str) -> str:
        """What the API server says to that intent, which it must refuse."""
        try:
            self.say(intent)
        except CommandError as error:
            return error.stderr
        raise AssertionError(f"the API server took intent {intent}")

    def delete(self, kind: str, name: str = "recommender") -> None:
        """Deletes it, and waits until it is gone."""
        writing.delete(self.kubectl, kind, name, namespace=self.namespace)

    @contextmanager
    def without_right(self, verb: str, resource: str) -> Iterator[None]:
        """The operator's Role lacks that verb meanwhile."""
        role = self.kubectl.json("get", "role", SERVICE_ACCOUNT, namespace=self.namespace)
        less = copy.deepcopy(role)
        for rule in less["rules"]:
            if resource in rule["resources"]:
                rule["verbs"].remove(verb)
        self.set_rules(less["rules"])
        yield
        self.set_rules(role["rules"])

    def set_rules(self, rules: list[Object]) -> None:
        """What the operator's Role says from now on."""
        writing.patch(self.kubectl, "role", SERVICE_ACCOUNT, {"rules": rules}, namespace=self.namespace)

    # --- what people see ---------------------------------------------------------------------------------------

    def get(self, kind: str, name: str = "recommender") -> Object:
        """One object."""
        found: Object = self.kubectl.json("get", kind, name, namespace=self.namespace)
        return found

    def image(self, name: str = "recommender") -> str:
        """What a Deployment's pod template names."""
        containers = self.get("deployment", name)["spec"]["template"]["spec"]["containers"]
        return str(containers[0]["image"])

    def status(self, kind: str = "modeldeployment", name: str = "recommender") -> Object:
        """The status of one object."""
        found: Object = self.get(kind, name).get("status", {})
        return found

    def history(self) -> list[str]:
        """The recorded versions, newest first."""
        return [v["version"] for v in self.status().get("history", [])]

    def condition(self, kind: str, type_: str, name: str = "recommender") -> Object:
        """One condition as it is now; empty without one."""
        conditions = self.status(kind, name).get("conditions", [])
        return next((c for c in conditions if c["type"] == type_), {})

    def rollbacks(self) -> list[Object]:
        """All Rollbacks of the namespace, oldest first."""
        items: list[Object] = self.kubectl.json("get", "rollbacks", namespace=self.namespace)["items"]
        return sorted(items, key=lambda r: str(r["metadata"]["creationTimestamp"]))

    def rollback(self) -> Object:
        """The only Rollback; fails when there is none or more than one."""
        found = self.rollbacks()
        assert len(found) == 1, f"{len(found)} rollbacks: {[r['metadata']['name'] for r in found]}"
        return found[0]

    def events(self, reason: str) -> list[Object]:
        """Events of that reason in the namespace."""
        items = self.kubectl.json("get", "events.events.k8s.io", namespace=self.namespace)["items"]
        return [e for e in items if e["reason"] == reason]

    # --- waiting -----------------------------------------------------------------------------------------------

    def wait_for_image(self, version: str, timeout: float = 60) -> None:
        """Until the Deployment names that version's image."""
        wait_until(
            self.image,
            timeout,
            accept=lambda image: image.endswith(f":{version}"),
            describe=f"{version} to be put there",
        )

    def wait_for_result(self, timeout: float = 60, name: str = "recommender") -> Object:
        """The only Rollback, once it is finished and the lock is cleared."""
        done = wait_until(
            self.rollback,
            timeout,
            accept=lambda r: r.get("status", {}).get("result"),
            describe="the Rollback to finish",
        )
        wait_until(
            lambda: self.status(name=name),
            timeout,
            accept=lambda s: not s.get("activeRollback"),
            describe="the lock to be cleared",
        )
        return done

    def wait_for_end(self, rollback: str, timeout: float = 60) -> Object:
        """The status of the Rollback of that name, once it is finished."""
        return wait_until(
            lambda: self.status("rollback", rollback),
            timeout,
            accept=lambda status: status.get("result"),
            describe=f"the Rollback {rollback} to finish",
        )

    def wait_for_rollback(
        self, type_: str, accept: Callable[[Object], object], timeout: float = 60
    ) -> Object:
        """That condition of the only Rollback, once it is accepted."""

        def look() -> Object:
            conditions = self.rollback().get("status", {}).get("conditions", [])
            return next((c for c in conditions if c["type"] == type_), {})

        return wait_until(look, timeout, accept=accept, describe=f"condition {type_} of the Rollback")

    def wait_for_version(self, version: str, *, verified: bool = False, timeout: float = 60) -> None:
        """Until the ModelDeployment says that this version is live (and Verified)."""

        def holds(status: Object) -> bool:
            return status.get("currentVersion") == version and (
                not verified or status.get("lastVerifiedVersion") == version
            )

        wait_until(
            self.status,
            timeout,
            accept=holds,
            describe=f"{version} to be live{' and Verified' if verified else ''}",
        )

    def wait_for_record(self, version: str, timeout: float = 60) -> None:
        """Until that version is the newest recorded one."""
        wait_until(
            self.history, timeout, accept=lambda h: h[:1] == [version], describe=f"{version} to be recorded"
        )

    def wait_for_condition(
        self,
        kind: str,
        type_: str,
        accept: Callable[[Object], object],
        name: str = "recommender",
        timeout: float = 60,
    ) -> Object:
        """The condition, once it is accepted."""
        return wait_until(
            lambda: self.condition(kind, type_, name),
            timeout,
            accept=accept,
            describe=f"condition {type_} of {kind} {name}",
        )

    def wait_for_event(self, reason: str, timeout: float = 30) -> list[Object]:
        """Events of that reason, once there is one."""
        return wait_until(lambda: self.events(reason), timeout, describe=f"an Event {reason}")

    def wait_until_told(self, reason: str, *kinds: str, timeout: float = 60) -> set[str]:
        """The kinds of objects on which `kubectl describe` shows an Event of that reason, once all `kinds` are.

        Events are sent beside the work and at a bounded rate: what has happened may be told later.
        """
        return wait_until(
            lambda: {e["regarding"]["kind"] for e in self.events(reason)},
            timeout,
            accept=set(kinds).issubset,
            describe=f"Events {reason} on {', '.join(kinds)}",
        )

    def wait_for_ticks(self, operator: OperatorProcess, count: int, *, groups: int = 1) -> None:
        """Until the operator has evaluated everything `count` times more, counted on its own metrics.

        `groups`: how many pairs of source and interval the policies have; each has ticks of its own.
        """
        name = "model_rollback_tick_seconds_count"
        wanted = operator.metric(name) + count * groups
        wait_until(
            lambda: operator.metric(name),
            30 + 5 * count,
            accept=lambda ticks: ticks >= wanted,
            describe=f"{count} ticks",
        )


def is_(status: str, reason: str = "") -> Callable[[Object], bool]:
    """Accepts a condition with that status (and reason)."""
    return lambda c: c.get("status") == status and reason in ("", c.get("reason"))
