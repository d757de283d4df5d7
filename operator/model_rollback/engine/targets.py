"""Watches the targets of all ModelDeployments: one list and watch per kind, digests kept, objects let go."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from model_rollback.api.v1alpha1.component import Component, TargetRef
from model_rollback.core.live import LiveTarget, observe
from model_rollback.core.readiness import Readiness
from model_rollback.engine.consumers import consumer_readiness, ref_of_consumer
from model_rollback.engine.held import is_newer
from model_rollback.engine.latecomers import Gvk, Late, Latecomers
from model_rollback.engine.lull import Lull
from model_rollback.engine.store import Key, Store, SystemEntry
from model_rollback.engine.turns import Turns
from model_rollback.errors import ClusterError, NotFound
from model_rollback.ports import Clock, Object, ObjectRef, Objects, Watches

log = structlog.get_logger(__name__)

_RETRY = timedelta(seconds=5)
_LOOK_EVERY = 0.1


class TargetWatcher:
    """Keeps `SystemEntry.live` true and calls `on_change(key)` when something in it changed."""

    def __init__(
        self, store: Store, objects: Objects, watches: Watches, clock: Clock, on_change: Callable[[Key], None]
    ) -> None:
        self._store = store
        self._objects = objects
        self._watches = watches
        self._clock = clock
        self._on_change = on_change
        self._users: dict[ObjectRef, set[Key]] = {}
        self._refs: dict[Key, set[ObjectRef]] = {}
        self._tasks: dict[Gvk, asyncio.Task[None]] = {}
        self._looking: set[asyncio.Task[None]] = set()
        self._lull = Lull()
        self._latecomers = Latecomers(
            is_unseen=self._is_unseen, look=self._look, list_all=self._list_all, lull=self._lull
        )
        self.synced: set[Gvk] = set()
        self.blind: dict[Gvk, str] = {}
        self.misnamed: dict[TargetRef, str] = {}

    def register(self, key: Key, entry: SystemEntry) -> None:
        """Follows the targets that the ModelDeployment names now, and only these."""
        self.forget(key)
        self._lull.came()
        refs: set[ObjectRef] = set()
        for component in entry.spec.components if entry.spec else []:
            refs |= {ref_of(key[0], component), *_consumers(key[0], component)}
            if component.target_ref.resource is not None:
                self._spawn(self._check_resource(key, component.target_ref))
        for ref in refs:
            self._users.setdefault(ref, set()).add(key)
            self._follow((ref.api_version, ref.kind))
            if (ref.api_version, ref.kind) in self.synced:
                self._look_if_unseen(key, ref)
        self._refs[key] = refs

    def all_registered(self) -> None:
        """Whoever has targets at a start is known: they are listed now."""
        self._lull.end()

    async def listed(self, within: float) -> None:
        """Returns when every kind that has targets was listed, or cannot be; after `within` seconds anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._tasks.keys() - self.synced - self.blind.keys():  # noqa: ASYNC110 - of many kinds
                    await asyncio.sleep(_LOOK_EVERY)

    def _is_unseen(self, late: Late) -> bool:
        key, ref = late
        entry = self._store.systems.get(key)
        components = entry.spec.components if entry is not None and entry.spec is not None else []
        return entry is not None and any(
            (ref_of(key[0], c) == ref and c.name not in entry.live)
            or (ref in _consumers(key[0], c) and ref not in entry.consumers)
            for c in components
        )

    def _look_if_unseen(self, key: Key, ref: ObjectRef) -> None:
        if self._is_unseen((key, ref)):
            self._latecomers.add(key, ref)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _check_resource(self, key: Key, target: TargetRef) -> None:
        """Whether the API server calls the kind as the component does; what cannot be asked, the watch tells."""
        try:
            plural = await self._objects.plural(target.api_version, target.kind)
        except ClusterError:
            return
        if plural != target.resource:
            self.misnamed[target] = (
                f"targetRef.resource: the API server calls {target.kind} of {target.api_version} {plural!r}, "
                f"not {target.resource!r}"
            )
            self._on_change(key)

    def forget(self, key: Key) -> None:
        """Follows the ModelDeployment's targets no longer."""
        for ref in self._refs.pop(key, set()):
            users = self._users.get(ref, set())
            users.discard(key)
            if not users:
                self._users.pop(ref, None)

    def blindness(self, entry: SystemEntry) -> str:
        """Why targets of this ModelDeployment cannot be watched now; empty when they are."""
        targets = [c.target_ref for c in entry.spec.components] if entry.spec else []
        said = [self.misnamed[t] for t in targets if t in self.misnamed]
        kinds = sorted({(t.api_version, t.kind) for t in targets})
        return "; ".join([*said, *(self.blind[gvk] for gvk in kinds if gvk in self.blind)])

    async def refresh(self, key: Key) -> None:
        """Looks at every target now, past the watch, which may lag behind our own writes.

        Raises:
            ClusterError: a target could not be read.
        """
        entry = self._store.systems.get(key)
        components = entry.spec.components if entry and entry.spec else []
        refs = [ref_of(key[0], c) for c in components]
        refs += [ref for c in components for ref in _consumers(key[0], c)]
        for ref in dict.fromkeys(refs):
            try:
                self._seen(ref, await self._objects.get(ref), only=key)
            except NotFound:
                self._seen(ref, None, only=key)

    async def stop(self) -> None:
        """Ends all watches."""
        tasks = [*self._tasks.values(), *self._looking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self._latecomers.stop(), return_exceptions=True)

    def _follow(self, gvk: Gvk) -> None:
        if gvk not in self._tasks:
            self._tasks[gvk] = asyncio.create_task(self._watch(gvk), name=f"watch {gvk[1]}")

    async def _watch(self, gvk: Gvk) -> None:
        """Endless; an error of ours is told and the kind is listed anew, because nobody else would notice.

        At a start the targets are listed when all who have some are known, so that one list serves them all.
        """
        await self._lull.wait()
        while True:
            try:
                await self._follow_events(gvk)
            except Exception:
                log.exception("watching failed; listing again", kind=gvk[1])
            await self._clock.sleep_until(self._clock.now() + _RETRY)

    async def _follow_events(self, gvk: Gvk) -> None:
        listed: set[ObjectRef] | None = None
        turns = Turns()
        async for event in self._watches.watch(*gvk):
            if event.type == "Listing":
                listed = set()
            elif event.type == "Unavailable":
                self.blind[gvk] = f"{gvk[1]}s cannot be watched: {event.message}"
                self._wake_all(gvk)
            elif event.type == "Synced":
                await self._synced(gvk, listed or set())
                listed = None
            elif event.object is not None:
                ref = _ref(gvk, event.object)
                if listed is not None:
                    listed.add(ref)
                self._seen(ref, event.object if event.type == "Upserted" else None)
                await turns.give()

    async def _synced(self, gvk: Gvk, listed: set[ObjectRef]) -> None:
        self.synced.add(gvk)
        was_blind = self.blind.pop(gvk, None) is not None
        turns = Turns()
        for ref, keys in list(self._users.items()):
            await turns.give()
            if (ref.api_version, ref.kind) != gvk:
                continue
            if ref not in listed:
                self._seen(ref, None)
                continue
            # Listed before its ModelDeployment was known: nobody has looked at it yet.
            for key in list(keys):
                self._look_if_unseen(key, ref)
        if was_blind:
            self._wake_all(gvk)

    def _wake_all(self, gvk: Gvk) -> None:
        for ref, keys in list(self._users.items()):
            if (ref.api_version, ref.kind) == gvk:
                for key in keys:
                    self._on_change(key)

    async def _look(self, late: Late) -> None:
        """Reads one target of a ModelDeployment that came after the list; tried again until it could be read."""
        key, ref = late
        if key not in self._users.get(ref, ()):
            return
        try:
            self._seen(ref, await self._objects.get(ref), only=key)
        except NotFound:
            self._seen(ref, None, only=key)
        except ClusterError as error:
            log.warning("target could not be read yet", target=str(ref), error=str(error))
            self._spawn(self._look_later(key, ref))

    async def _look_later(self, key: Key, ref: ObjectRef) -> None:
        await self._clock.sleep_until(self._clock.now() + _RETRY)
        self._look_if_unseen(key, ref)

    async def _list_all(self, gvk: Gvk) -> None:
        """Lists a kind that is watched once more; what it does not show is left to single looks."""
        turns = Turns()
        try:
            async with contextlib.aclosing(self._watches.watch(*gvk)) as events:
                async for event in events:
                    if event.type in ("Synced", "Unavailable"):
                        return
                    if event.object is not None:
                        self._seen(_ref(gvk, event.object), event.object)
                        await turns.give()
        except Exception:
            log.exception("listing failed; targets are read one by one", kind=gvk[1])

    def _seen(self, ref: ObjectRef, obj: Object | None, only: Key | None = None) -> None:
        for key in [only] if only else list(self._users.get(ref, ())):
            entry = self._store.systems.get(key)
            if entry is None or entry.spec is None:
                continue
            for component in entry.spec.components:
                if ref_of(key[0], component) == ref:
                    self._put(key, entry, component, obj)
                if ref in _consumers(key[0], component):
                    self._put_consumer(key, entry, ref, obj)

    def _put(self, key: Key, entry: SystemEntry, component: Component, obj: Object | None) -> None:
        before = entry.live.get(component.name)
        if before is not None and obj is not None and _is_older(obj, before):
            return
        if obj is None:
            name = component.target_ref.name
            after = LiveTarget(
                component=component.name,
                problem=f"{component.target_ref.kind} {name} does not exist in namespace {key[0]}",
                missing=True,
                readiness=Readiness(ready=False, message="it does not exist"),
            )
        else:
            after = observe(component, obj)
        same = before is not None and before.pins == after.pins and before.changed_at is not None
        now = self._clock.now()
        ready_at = before.ready_at if before is not None and same and before.ready_at is not None else now
        after = replace(
            after,
            changed_at=before.changed_at if before and same else now,
            ready_at=ready_at if after.readiness.ready else None,
        )
        entry.live[component.name] = after
        if after != before:
            self._on_change(key)

    def _put_consumer(self, key: Key, entry: SystemEntry, ref: ObjectRef, obj: Object | None) -> None:
        found = consumer_readiness(ref.kind, obj)
        if entry.consumers.get(ref) != found:
            entry.consumers[ref] = found
            self._on_change(key)


def _is_older(obj: Object, known: LiveTarget) -> bool:
    metadata = obj["metadata"]
    if metadata["uid"] != known.uid or not known.resource_version:
        return False
    return not is_newer(str(metadata.get("resourceVersion", "")), known.resource_version)


def ref_of(namespace: str, component: Component) -> ObjectRef:
    """The object that a component names."""
    target = component.target_ref
    return ObjectRef(target.api_version, target.kind, namespace, target.name)


def _consumers(namespace: str, component: Component) -> list[ObjectRef]:
    return [ref_of_consumer(namespace, consumer) for consumer in component.restart]


def _ref(gvk: Gvk, obj: Object) -> ObjectRef:
    return ObjectRef(*gvk, obj["metadata"]["namespace"], obj["metadata"]["name"])
