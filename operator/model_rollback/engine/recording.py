"""Writes versions down: what ran stable and whole, with its full values kept and the images of its pods.

Pods are read when a version is to be recorded, and once more when a target that was not ready is ready again: then pods
have started, and a tag may have brought other bits. While nothing happens nothing is asked.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.model_deployment_status import Author, ModelDeploymentStatus, RecordedVersion
from model_rollback.core import authorship, images, moves, versions
from model_rollback.core.health import HealthClock
from model_rollback.core.images import Look
from model_rollback.core.kinds import type_of
from model_rollback.core.pins import Values, identity_of
from model_rollback.engine import leftovers, revisions
from model_rollback.engine.announcer import Announcer
from model_rollback.engine.held import write_status
from model_rollback.engine.pruning import Pruning
from model_rollback.engine.reading import pins_of, read_targets
from model_rollback.engine.store import SystemEntry
from model_rollback.errors import Forbidden, NotFound, Refused
from model_rollback.ports import Clock, Object, Objects, Pods

log = structlog.get_logger(__name__)

Refresh = Callable[[SystemEntry, ModelDeploymentStatus], ModelDeploymentStatus]


class Recording:
    """Records the live versions of ModelDeployments."""

    def __init__(
        self,
        objects: Objects,
        pods: Pods,
        pruning: Pruning,
        announcer: Announcer,
        clock: Clock,
        look: Refresh,
    ) -> None:
        """`look`: the status with what follows from the targets as last seen."""
        self._objects = objects
        self._pods = pods
        self._pruning = pruning
        self._announcer = announcer
        self._clock = clock
        self._look = look

    async def record_if_stable(self, entry: SystemEntry) -> None:
        """Records what is live when it may be, or what has become known of it since.

        Raises:
            ClusterError: something could not be read or written; nothing was half recorded.
        """
        spec, status, now = entry.spec, entry.status, self._clock.now()
        if spec is None or not versions.is_stable(spec, status, entry.targets, now=now):
            return
        recorded = _is_recorded(status)
        due = _due(spec, entry)
        if recorded and not due:
            return
        found = await read_targets(self._objects, entry)
        values = pins_of(spec, found) if found is not None else None
        if found is None or values is None or identity_of(values) != status.current_digest:
            return
        seen = images.look(spec, values, await self._running(spec, found))
        old = versions.find_recorded(status, status.current_digest)
        moved = images.moved(old.images, seen.tagged) if old is not None else ()
        if recorded and old is not None and not moved and _adds_nothing(old, seen):
            entry.pods_seen |= due
            return
        read_at = {name: str(found[name]["metadata"].get("resourceVersion", "")) for name in due}
        named = _named(entry)
        async with entry.keeping:
            before = (
                await self._before_the_move(entry, spec, old, moved) if old is not None and moved else None
            )
            await self._write(entry, spec, values, found, seen, before, read_at, now)
        entry.pods_seen |= due
        if named - _named(entry):
            await self._pruning.prune(entry)

    async def _write(
        self,
        entry: SystemEntry,
        spec: ModelDeploymentSpec,
        values: Values,
        found: Mapping[str, Object],
        seen: Look,
        before: RecordedVersion | None,
        read_at: Mapping[str, str],
        now: datetime,
    ) -> None:
        by = authorship.join(
            [a for c in spec.components for a in authorship.authors(type_of(c), found[c.name])]
        )
        judged = entry.status.current_digest

        def moved_on(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
            if before is None:
                return status
            return moves.move_on(spec, status, entry.targets, before, seen, now=now)

        name = moved_on(entry.status).current_version
        beside = leftovers.beside_now(spec.components, found)
        revision = await revisions.keep(self._objects, entry, name, values, beside)
        entry.missing.pop(name, None)

        def change(old: ModelDeploymentStatus) -> ModelDeploymentStatus:
            if old.current_digest != judged or not versions.is_stable(spec, old, entry.targets, now=now):
                return old
            status = _recorded(spec, entry, moved_on(old), revision, by, seen, before, now)
            return self._look(entry, moves.with_images(status, seen, read_at))

        await write_status(self._objects, entry, change)
        if before is not None:
            entry.health = HealthClock()
            said = moves.move_in_words(entry.status)
            if said:
                self._announcer.tell(Reason.MUTABLE_REFERENCE, said, [entry.regarding])
        log.info("version recorded", modeldeployment=str(entry.ref), version=name, revision=revision)

    async def _running(
        self, spec: ModelDeploymentSpec, found: Mapping[str, Object]
    ) -> dict[str, dict[str, str]]:
        """Component → container → imageID, as far as it can be known."""
        ids: dict[str, dict[str, str]] = {}
        for component in spec.components:
            target = found[component.name]
            selector = (target.get("spec") or {}).get("selector")
            if not images.has_pods(component) or not selector:
                continue
            try:
                pods = await self._pods.selected(target["metadata"]["namespace"], selector)
            except (Forbidden, Refused, NotFound) as error:
                log.info("images of pods not known", component=component.name, error=str(error))
                continue
            ids[component.name] = images.running({"kind": component.target_ref.kind, **target}, pods)
        return ids

    async def _before_the_move(
        self, entry: SystemEntry, spec: ModelDeploymentSpec, old: RecordedVersion, moved: images.Images
    ) -> RecordedVersion:
        """The version that ran until the tag moved, kept by digest where that can be."""
        try:
            values = await revisions.load(self._objects, entry.ref.namespace, old.revision)
        except NotFound:
            return moves.lost(old, moved, "its kept values were deleted")
        pinned, gone = images.by_digest(spec, values, moved)
        if gone:
            return moves.lost(old, gone, "no registry names it")
        revision = await revisions.keep(self._objects, entry, old.version, pinned)
        return moves.kept_by_digest(old, pinned, revision)


def _recorded(
    spec: ModelDeploymentSpec,
    entry: SystemEntry,
    status: ModelDeploymentStatus,
    revision: str,
    changed_by: list[Author],
    seen: Look,
    before: RecordedVersion | None,
    now: datetime,
) -> ModelDeploymentStatus:
    return versions.record(
        spec,
        status,
        entry.targets,
        revision,
        changed_by=changed_by,
        images=seen.images,
        moved_from=before.version if before is not None else "",
        now=now,
    )


def _named(entry: SystemEntry) -> set[str]:
    """What the history says where its versions are kept."""
    return {v.revision for v in entry.status.history}


def _is_recorded(status: ModelDeploymentStatus) -> bool:
    newest = status.history[0] if status.history else None
    return newest is not None and newest.is_of(status.current_digest) and newest.last_seen is None


def _due(spec: ModelDeploymentSpec, entry: SystemEntry) -> dict[str, datetime]:
    """The components whose pods have not been looked at since they became ready, and since when they are.

    After a restart of this process a target that has not changed since need not be looked at again.
    """
    written = {c.name: c.pods_seen for c in entry.status.components}
    due = {}
    for component in spec.components:
        target = entry.live.get(component.name)
        if target is None or target.ready_at is None or not images.has_pods(component):
            continue
        known = entry.pods_seen.get(component.name)
        unchanged = known is None and written.get(component.name) == target.resource_version
        if known != target.ready_at and not unchanged:
            due[component.name] = target.ready_at
    return due


def _adds_nothing(old: RecordedVersion, seen: Look) -> bool:
    known = {(i.component, i.container) for i in old.images}
    return all((i.component, i.container) in known for i in seen.images)
