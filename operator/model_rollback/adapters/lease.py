"""One `coordination.k8s.io/v1` Lease, read and written whole."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from model_rollback.adapters.connection import Connection
from model_rollback.api.group import FIELD_MANAGER
from model_rollback.errors import NotFound
from model_rollback.ports import LeaseRecord

API_VERSION: Final = "coordination.k8s.io/v1"


class ClusterLease:
    """`Leases` on a real API server. The times in it are for people; no decision is taken from them."""

    def __init__(self, connection: Connection, namespace: str, name: str, *, duration: float) -> None:
        """`connection`: of its own, with a short time-out and without a guard. `duration`: in seconds."""
        self._connection = connection
        self._namespace = namespace
        self._name = name
        self._duration = duration
        self._acquired = ""

    async def read(self) -> LeaseRecord | None:
        """See `ports.Leases`. No `resourceVersion` is sent: that is a read of the newest state."""
        try:
            return _record(await self._connection.request("GET", self._path, what=f"get {self}"))
        except NotFound:
            return None

    async def write(self, holder: str, transitions: int, *, over: LeaseRecord | None) -> LeaseRecord:
        """See `ports.Leases`."""
        now = _micro_time()
        if over is None or (over.holder, over.transitions) != (holder, transitions):
            self._acquired = now
        metadata = {"name": self._name, "namespace": self._namespace}
        if over is not None:
            metadata["resourceVersion"] = over.resource_version
        body = {
            "apiVersion": API_VERSION,
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(self._duration)),
                "acquireTime": self._acquired,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }
        method, path = ("POST", self._collection) if over is None else ("PUT", self._path)
        query = {"fieldManager": FIELD_MANAGER}
        return _record(
            await self._connection.request(method, path, what=f"write {self}", query=query, body=body)
        )

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    @property
    def _collection(self) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self._namespace}/leases"

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._name}"


def _record(body: Mapping[str, Any]) -> LeaseRecord:
    spec = body.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        transitions=int(spec.get("leaseTransitions") or 0),
        duration=float(spec.get("leaseDurationSeconds") or 0),
        renewed=str(spec.get("renewTime") or ""),
        resource_version=str(body["metadata"]["resourceVersion"]),
    )


def _micro_time() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
