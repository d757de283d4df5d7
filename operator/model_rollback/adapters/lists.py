"""All objects of a kind in one namespace, page by page."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType
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
        query = {"labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())}
        what = f"list every {kind} of {namespace}"
        found: list[Object] = []
        async for page in pages(self._connection, path, what=what, size=_PAGE, query=query):
            found += page.get("items") or ()
        return found


async def pages(
    connection: Connection,
    path: str,
    *,
    what: str,
    size: int,
    query: Mapping[str, str] = MappingProxyType({}),
) -> AsyncGenerator[Mapping[str, Any], None]:
    """One list as the API server gives it out: at most `size` objects at a time, all of the same moment.

    The next page is asked for while one is worked through.
    """

    async def ask(more: str) -> Mapping[str, Any]:
        asked = {"limit": str(size), **query, **({"continue": more} if more else {})}
        page: Mapping[str, Any] = await connection.request("GET", path, what=what, query=asked)
        return page

    coming: asyncio.Task[Mapping[str, Any]] | None = asyncio.create_task(ask(""))
    try:
        while coming is not None:
            page = await coming
            more = (page.get("metadata") or {}).get("continue")
            coming = asyncio.create_task(ask(str(more))) if more else None
            yield page
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
