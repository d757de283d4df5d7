"""What there is at a start: listed by the engine itself, before kopf hands over one object after the other.

kopf takes a task for every object that it lists; a fleet of ten thousand has been evaluated by then. What it shows
afterwards is what is known already, and passed over. Only what it never shows needs a look: that was deleted between
the two lists, and nobody else would tell.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

import structlog

from model_rollback.api.group import API_VERSION
from model_rollback.engine.store import Key, key_of
from model_rollback.engine.turns import Turns
from model_rollback.errors import ClusterError, NotFound
from model_rollback.ports import Clock, Object, ObjectRef, Objects, Watches

log = structlog.get_logger(__name__)

_LOOK_EVERY: Final = timedelta(seconds=5)
_AT_A_LOOK: Final = 20
"""Objects that are read at one look, so that a kopf that lists slowly is not answered with thousands of reads."""


class Take(Protocol):
    """Takes over an object of one kind, or its end."""

    def __call__(self, body: Object, *, deleted: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class _Listed:
    uid: str
    version: str
    spec: dict[str, Any]
    """Of a Rollback: at its end it must be said whose it was."""


class FirstList:
    """Hands on to the engine what it lists itself (`run`), and then what kopf shows (the three `on_…`).

    Attributes:
        is_over: set when all kinds were listed, or could not be.
    """

    def __init__(self, takes: Mapping[str, Take], objects: Objects, watches: Watches, clock: Clock) -> None:
        """`takes`: by kind."""
        self._takes = takes
        self._objects = objects
        self._watches = watches
        self._clock = clock
        self._listed: dict[tuple[str, Key], _Listed] = {}
        self.is_over = asyncio.Event()

    async def run(self) -> None:
        """Lists all kinds side by side. Raises nothing but cancellation."""
        try:
            await asyncio.gather(*(self._list(kind) for kind in self._takes))
        finally:
            self.is_over.set()

    async def find_deleted(self) -> None:
        """Until kopf has shown everything that was listed, or it is known to be gone."""
        before: dict[tuple[str, Key], _Listed] = {}
        while self._listed:
            await self._clock.sleep_until(self._clock.now() + _LOOK_EVERY)
            # While kopf still lists, what it has not shown yet says nothing.
            if len(self._listed) == len(before):
                for kind, key in list(self._listed)[:_AT_A_LOOK]:
                    await self._look(kind, key)
            before = dict(self._listed)

    def on_policy(self, body: Object, *, deleted: bool) -> None:
        """kopf saw a RollbackPolicy, or its end."""
        self._shown("RollbackPolicy", body, deleted=deleted)

    def on_system(self, body: Object, *, deleted: bool) -> None:
        """kopf saw a ModelDeployment, or its end."""
        self._shown("ModelDeployment", body, deleted=deleted)

    def on_rollback(self, body: Object, *, deleted: bool) -> None:
        """kopf saw a Rollback, or its end."""
        self._shown("Rollback", body, deleted=deleted)

    def _shown(self, kind: str, body: Object, *, deleted: bool) -> None:
        metadata, take = body["metadata"], self._takes[kind]
        known = self._listed.pop((kind, key_of(body)), None)
        if known is not None and known.uid != metadata.get("uid", ""):
            take(_end_of(key_of(body), known), deleted=True)
        elif known is not None and not deleted and known.version == metadata.get("resourceVersion"):
            return
        take(body, deleted=deleted)

    async def _list(self, kind: str) -> None:
        turns = Turns()
        async with contextlib.aclosing(self._watches.watch(API_VERSION, kind)) as events:
            async for event in events:
                if event.type in ("Synced", "Unavailable"):
                    return
                if event.object is not None:
                    self._take(kind, event.object)
                    await turns.give()

    def _take(self, kind: str, body: Object) -> None:
        """An object that is not understood is left to kopf, like one that was not listed."""
        metadata = body["metadata"]
        spec = body["spec"] if kind == "Rollback" else {}
        try:
            self._takes[kind](body, deleted=False)
        except Exception:
            log.exception("a listed object was not understood", kind=kind, name=metadata["name"])
        else:
            self._listed[kind, key_of(body)] = _Listed(metadata["uid"], metadata["resourceVersion"], spec)

    async def _look(self, kind: str, key: Key) -> None:
        """Tells the end of what is not there any more; what is there, kopf will show."""
        try:
            found = await self._objects.get(ObjectRef(API_VERSION, kind, *key))
        except NotFound:
            found = None
        except ClusterError as error:
            log.warning("a listed object was not looked for", kind=kind, name=key[1], error=str(error))
            return
        known = self._listed.get((kind, key))
        if known is not None and (found is None or found["metadata"]["uid"] != known.uid):
            del self._listed[kind, key]
            self._takes[kind](_end_of(key, known), deleted=True)


def _end_of(key: Key, known: _Listed) -> Object:
    """A deleted object, as far as its end concerns anybody."""
    metadata = {"namespace": key[0], "name": key[1], "uid": known.uid, "resourceVersion": known.version}
    return {"metadata": metadata, "spec": known.spec}
