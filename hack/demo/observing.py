"""One look at everything that the story is about."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubernetes import client
from kubernetes.config import new_client_from_config

from .recommender import NAME, NAMESPACE, Recommender
from .sandbox import Sandbox

Object = dict[str, Any]

_GROUP, _VERSION = "modelrollback.dev", "v1alpha1"


@dataclass(frozen=True)
class Accuracy:
    """The newest sample that Prometheus has of the serving release."""

    version: str
    value: float
    scraped_at: datetime


@dataclass(frozen=True)
class Snapshot:
    """What was seen in one look; empty where there is nothing yet. `serving`: the version that answers over HTTP."""

    at: datetime
    serving: str = ""
    accuracy: Accuracy | None = None
    model: Object = field(default_factory=dict)
    triggers: tuple[Object, ...] = ()
    rollback: Object = field(default_factory=dict)

    @property
    def rollback_status(self) -> Object:
        """The Rollback's status, empty when there is none."""
        return dict(self.rollback.get("status", {}))

    @property
    def result(self) -> str:
        """The Rollback's result; empty while there is none."""
        return str(self.rollback_status.get("result", ""))

    def condition(self, type_: str) -> Object:
        """That condition of the Rollback; empty when it is not there."""
        found = self.rollback_status.get("conditions", [])
        return next((each for each in found if each["type"] == type_), {})


class Observer:
    """Looks with the administrator's rights; writes nothing."""

    def __init__(self, sandbox: Sandbox, recommender: Recommender) -> None:
        self._sandbox = sandbox
        self._recommender = recommender
        self._objects = client.CustomObjectsApi(new_client_from_config(str(sandbox.place.kubeconfig)))

    def look(self) -> Snapshot:
        """Measurements first: what the operator made of one is never seen before it."""
        accuracy = self._accuracy()
        serving = self._recommender.serving()
        policies = self._list("rollbackpolicies")
        rollbacks = self._list("rollbacks")
        return Snapshot(
            at=datetime.now(UTC),
            serving=serving,
            accuracy=accuracy,
            model=next(iter(self._list("modeldeployments")), {}),
            triggers=tuple(t for p in policies for t in p.get("status", {}).get("triggers", [])),
            rollback=next(iter(rollbacks), {}),
        )

    def lock_is_free(self) -> bool:
        """Whether the operator is done with the Rollback: no lock is held, and the policy says so too."""
        held = [m.get("status", {}).get("activeRollback") for m in self._list("modeldeployments")]
        said = [c for p in self._list("rollbackpolicies") for c in p.get("status", {}).get("conditions", [])]
        return not any(held) and all(each["reason"] != "RollbackInProgress" for each in said)

    def _accuracy(self) -> Accuracy | None:
        selector = f'model_quality{{metric="accuracy",model="{NAME}"}}'
        if not self._sandbox.prometheus(selector):  # a range would still hold what has ended
            return None
        series = self._sandbox.prometheus(f"{selector}[5s]")
        newest = max(series, key=lambda each: each["values"][-1][0], default=None)
        if newest is None:
            return None
        at, value = newest["values"][-1]
        return Accuracy(newest["metric"]["version"], float(value), datetime.fromtimestamp(float(at), UTC))

    def _list(self, plural: str) -> list[Object]:
        answer: Any = self._objects.list_namespaced_custom_object(
            _GROUP, _VERSION, NAMESPACE, plural, _request_timeout=10
        )
        items: list[Object] = answer["items"]
        return items
