"""All objects of a kind in one namespace, page by page."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from model_rollback.adapters.connection import Connection
from model_rollback.adapters.objects import Paths
from model_rollback.ports import Object

_PAGE: Final = 100


class ClusterLists:
    """`Lists` on a real API server. Needs the verb `list` on the kind."""

    def __init__(self, connection: Connection, paths: Paths | None = None) -> None:
        self._connection = connection
        self._paths = paths or Paths(connection)

    async def list(
        self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]
    ) -> Sequence[Object]:
        """See `ports.Lists`. The first page is read from the newest state, and the others belong to it."""
        path = await self._paths.collection(api_version, kind, namespace)
        query = {"limit": str(_PAGE), "labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())}
        found: list[Object] = []
        while True:
            page: Mapping[str, Any] = await self._connection.request(
                "GET", path, what=f"list every {kind} of {namespace}", query=query
            )
            found += page.get("items") or ()
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return found
            query["continue"] = str(more)
