"""Where a Service of a namespace is, by the API server's own word: no DNS, no way out of the namespace."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from model_rollback.adapters.connection import Connection
from model_rollback.adapters.objects import Paths
from model_rollback.adapters.pods import label_selector
from model_rollback.errors import Refused

Address = tuple[str, int]


class Services(Protocol):
    """Finds Services."""

    async def address(self, namespace: str, name: str, port: int) -> Address:
        """IP and port where the Service answers. Raises ClusterError: it does not exist, or may lead elsewhere."""


class ClusterServices:
    """`Services` on a real API server. Needs the verbs `get` on services and, for headless ones, `list` on pods."""

    def __init__(self, connection: Connection, paths: Paths | None = None) -> None:
        self._connection = connection
        self._paths = paths or Paths(connection)

    async def address(self, namespace: str, name: str, port: int) -> Address:
        """See `Services`."""
        path = f"{await self._paths.collection('v1', 'Service', namespace)}/{name}"
        service = await self._connection.request("GET", path, what=f"get Service {namespace}/{name}")
        spec: Mapping[str, Any] = service.get("spec") or {}
        what = f"Service {namespace}/{name}"
        if spec.get("type") == "ExternalName":
            raise Refused(f"{what} is an ExternalName, which leads out of the namespace; it is not asked")
        if not spec.get("selector"):
            raise Refused(f"{what} selects no pods, so it may lead anywhere; it is not asked")
        ip = spec.get("clusterIP")
        if ip == "None":
            return await self._pod(namespace, spec["selector"], what), port
        ports = [p.get("port") for p in spec.get("ports") or ()]
        if not ip or port not in ports:
            raise Refused(f"{what} has no port {port}; it has {', '.join(map(str, ports)) or 'none'}")
        return str(ip), port

    async def _pod(self, namespace: str, selector: Mapping[str, str], what: str) -> str:
        """A ready pod of a headless Service; there the port is the pod's own."""
        path = await self._paths.collection("v1", "Pod", namespace)
        query = {"labelSelector": label_selector({"matchLabels": selector}), "limit": "500"}
        page = await self._connection.request("GET", path, what=f"list the pods of {what}", query=query)
        for pod in page.get("items") or ():
            status = pod.get("status") or {}
            if status.get("podIP") and _is_ready(status.get("conditions") or ()):
                return str(status["podIP"])
        raise Refused(f"{what} has no ready pod")


def _is_ready(conditions: Sequence[Mapping[str, Any]]) -> bool:
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
