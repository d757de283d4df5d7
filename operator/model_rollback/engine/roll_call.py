"""Who is there still, after our kinds could not be watched for a while: nothing else tells of a deletion in between.

A list shows what there is, and kopf hands on only that. A policy that went unnoticed would keep versions from becoming
Verified, and a Rollback that went while it was halted would hold its lock until the operator is started anew.
"""

from collections.abc import Callable, Iterable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from model_rollback.api.group import API_VERSION
from model_rollback.engine.held import Held
from model_rollback.errors import ClusterError, NotFound, Unavailable
from model_rollback.ports import Clock, Object, Objects, Watches

log = structlog.get_logger(__name__)

_RETRY = timedelta(seconds=5)

H = TypeVar("H", bound=Held[Any])


class RollCall:
    """Lists each kind once, and asks for each that the list does not show."""

    def __init__(self, objects: Objects, watches: Watches, clock: Clock) -> None:
        self._objects = objects
        self._watches = watches
        self._clock = clock

    async def hold(self, kind: str, known: Callable[[], Iterable[H]], gone: Callable[[H], None]) -> None:
        """One kind, until the API server has answered. Raises nothing but cancellation.

        Args:
            known: what is held of it now. gone: told of each that is there no longer.
        """
        while True:
            try:
                await self._hold(kind, known, gone)
            except ClusterError as error:
                log.warning("not known yet what was deleted meanwhile", kind=kind, error=str(error))
                await self._clock.sleep_until(self._clock.now() + _RETRY)
            else:
                return

    async def _hold(self, kind: str, known: Callable[[], Iterable[H]], gone: Callable[[H], None]) -> None:
        there = await self._uids(kind)
        for held in [one for one in known() if one.uid not in there]:
            if not await self._is_there(held):
                log.warning("it was deleted while nobody could watch", kind=kind, object=str(held.ref))
                gone(held)

    async def _uids(self, kind: str) -> set[str]:
        uids: set[str] = set()
        async with aclosing(self._watches.watch(API_VERSION, kind)) as events:
            async for event in events:
                if event.type == "Synced":
                    break
                if event.type == "Unavailable":
                    raise Unavailable(event.message)
                if event.object is not None:
                    uids.add(event.object["metadata"]["uid"])
        return uids

    async def _is_there(self, held: Held[Any]) -> bool:
        """It may have come after the list, and another one may have its name."""
        try:
            found: Object = await self._objects.get(held.ref)
        except NotFound:
            return False
        return bool(found["metadata"]["uid"] == held.uid)


def told_of(held: Held[Any], spec: dict[str, Any] | None = None) -> Object:
    """As much of a deleted object as its end needs."""
    namespace, name = held.key
    return {"metadata": {"namespace": namespace, "name": name, "uid": held.uid}, "spec": spec or {}}
