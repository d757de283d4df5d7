"""Follows the versions of ModelDeployments: which is live, when one is recorded, when it is Verified."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from model_rollback.api.conditions import Condition, find_condition, is_true
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from model_rollback.core import authorship, quarantine, versions
from model_rollback.core.kinds import type_of
from model_rollback.core.paths import PathError
from model_rollback.core.pins import PinValues, Values, read, show_all, version_digest
from model_rollback.core.system import EXTERNALLY_MANAGED, with_conditions
from model_rollback.engine import revisions
from model_rollback.engine.announcer import Announcer
from model_rollback.engine.held import write_status
from model_rollback.engine.store import Key, Store, SystemEntry
from model_rollback.engine.targets import TargetWatcher, ref_of
from model_rollback.engine.turns import each
from model_rollback.engine.wakeups import Wakeups
from model_rollback.errors import ClusterError, NotFound
from model_rollback.ports import Clock, Object, Objects

log = structlog.get_logger(__name__)

_RETRY = timedelta(seconds=5)
_AT_ONCE = 8
"""ModelDeployments that are looked after side by side: after a first start all of them record a version."""
_TROUBLE = (Reason.TARGETS_MISSING, Reason.API_UNAVAILABLE, Reason.INVALID_SPEC)


class Tracker:
    """One loop for all ModelDeployments; woken by changes, asleep otherwise."""

    def __init__(
        self,
        store: Store,
        objects: Objects,
        targets: TargetWatcher,
        wakeups: Wakeups[Key],
        announcer: Announcer,
        clock: Clock,
    ) -> None:
        self._announcer = announcer
        self._store = store
        self._objects = objects
        self._targets = targets
        self._wakeups = wakeups
        self._clock = clock

    async def run(self) -> None:
        """Endless; an error of one ModelDeployment delays that one only."""
        while True:
            await each(await self._wakeups.due(), self._serve, at_once=_AT_ONCE)

    async def _serve(self, key: Key) -> None:
        entry = self._store.systems.get(key)
        if entry is None or not (entry.is_known or self._targets.blindness(entry)):
            return
        try:
            await self._refresh(key, entry)
        except NotFound:
            return
        except ClusterError as error:
            log.warning("status could not be written", modeldeployment=str(entry.ref), error=str(error))
            self._wakeups.at(key, self._clock.now() + _RETRY)
        except Exception:
            log.exception("tracking failed; it is tried again", modeldeployment=str(entry.ref))
            self._wakeups.at(key, self._clock.now() + _RETRY)

    async def _refresh(self, key: Key, entry: SystemEntry) -> None:
        status, before = entry.status, entry.status.conditions
        await write_status(
            self._objects, entry, lambda status: self._settle(entry, self._look(entry, status))
        )
        for released in quarantine.newly_released(status, entry.status):
            words = f"{released.version} may be rolled back to again: {released.reason}"
            self._announcer.tell(Reason.QUARANTINE_RELEASED, words, [entry.regarding])
        self._tell(entry, find_condition(before, "Ready"), find_condition(entry.status.conditions, "Ready"))
        managed = find_condition(entry.status.conditions, EXTERNALLY_MANAGED)
        if managed is not None and managed.status == "True" and not is_true(before, EXTERNALLY_MANAGED):
            self._announcer.tell(Reason.EXTERNALLY_MANAGED, managed.message, [entry.regarding])
        if entry.spec is None or not entry.is_known:
            return
        now = self._clock.now()
        await self._record_if_stable(entry, now)
        for due in (
            versions.stable_at(entry.spec, entry.targets),
            quarantine.next_end(entry.status, now=now),
        ):
            if due is not None and due > now:
                self._wakeups.at(key, due)

    def _tell(self, entry: SystemEntry, before: Condition | None, after: Condition | None) -> None:
        """Events for trouble that stops protection, and for its end; a rollout that is not ready yet is none."""
        was = before.reason if before is not None else ""
        if after is None or after.reason == was:
            return
        tell, concerned = self._announcer.tell, [entry.regarding]
        if after.reason == Reason.TARGETS_MISSING:
            tell(Reason.TARGETS_MISSING, after.message, concerned)
        elif after.reason == Reason.API_UNAVAILABLE:
            tell(Reason.API_UNAVAILABLE, after.message, concerned)
        elif after.reason == Reason.INVALID_SPEC:
            tell(Reason.INVALID_SPEC, after.message, concerned)
        elif was in _TROUBLE:
            tell(Reason.TARGETS_AVAILABLE, f"every target is there: {after.message}", concerned)

    def _settle(self, entry: SystemEntry, status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        if entry.spec is None:
            return status
        return quarantine.settle(entry.spec, status, now=self._clock.now())

    def _look(self, entry: SystemEntry, status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        now = self._clock.now()
        if entry.spec is not None and entry.is_known:
            status = versions.track(entry.spec, status, entry.targets, now=now)
        return with_conditions(
            entry.spec,
            status,
            entry.targets,
            problem=entry.problem,
            blind=self._targets.blindness(entry),
            generation=entry.generation,
            now=now,
        )

    async def _record_if_stable(self, entry: SystemEntry, now: datetime) -> None:
        spec, status = entry.spec, entry.status
        if spec is None or not versions.is_stable(spec, status, entry.targets, now=now):
            return
        newest = status.history[0] if status.history else None
        if newest is not None and newest.digest == status.current_digest and newest.last_seen is None:
            return
        found = await read_targets(self._objects, entry)
        values = pins_of(spec, found) if found is not None else None
        if (
            found is None
            or values is None
            or version_digest({c: show_all(p) for c, p in values.items()}) != status.current_digest
        ):
            return
        by = [a for c in spec.components for a in authorship.authors(type_of(c), found[c.name])]
        changed_by = authorship.join(by)
        revision = await revisions.keep(self._objects, entry, status.current_version, values)
        entry.missing.pop(status.current_version, None)

        def change(old: ModelDeploymentStatus) -> ModelDeploymentStatus:
            if not versions.is_stable(spec, old, entry.targets, now=now):
                return old
            return self._look(
                entry, versions.record(spec, old, entry.targets, revision, changed_by=changed_by, now=now)
            )

        await write_status(self._objects, entry, change)
        log.info(
            "version recorded",
            modeldeployment=str(entry.ref),
            version=status.current_version,
            revision=revision,
        )

    async def credit_healthy_time(
        self, key: Key, *, healthy: bool, now: datetime, longest_gap: timedelta
    ) -> None:
        """Counts healthy time towards Verified; called at every tick of a policy of that ModelDeployment.

        It is written down when the version becomes Verified and when health ends.
        """
        entry = self._store.systems.get(key)
        if entry is None or entry.spec is None or not entry.status.current_digest:
            return
        digest, spec = entry.status.current_digest, entry.spec
        entry.health = entry.health.tick(digest, healthy=healthy, now=now, longest_gap=longest_gap)
        gained = entry.health.gained
        current = versions.find_recorded(entry.status, digest)
        if current is None or current.safe == "Verified":
            entry.health = entry.health.written()
            return
        if not gained or (healthy and current.healthy_for + gained < spec.versioning.verified_after):
            return

        def change(old: ModelDeploymentStatus) -> ModelDeploymentStatus:
            if old.current_digest != digest:
                return old
            return self._look(entry, versions.add_healthy_time(spec, old, gained, now=now))

        await write_status(self._objects, entry, change)
        entry.health = entry.health.written()
        if entry.status.last_verified_version == current.version:
            log.info("version verified", modeldeployment=str(entry.ref), version=current.version)


def read_pins(component: Component, obj: Object) -> PinValues:
    """A component's full pin values in an object; raises PathError."""
    return read(type_of(component), obj)


async def read_values(objects: Objects, entry: SystemEntry) -> Values | None:
    """Every component's pins, read from the API server now; None when a target or pin is missing."""
    found = await read_targets(objects, entry)
    return pins_of(entry.spec, found) if found is not None and entry.spec is not None else None


async def read_targets(objects: Objects, entry: SystemEntry) -> dict[str, Object] | None:
    """Component → its target, read from the API server now; None when one is missing."""
    found = {}
    for component in entry.spec.components if entry.spec else []:
        try:
            found[component.name] = await objects.get(ref_of(entry.ref.namespace, component))
        except NotFound:
            return None
    return found


def pins_of(spec: ModelDeploymentSpec, found: Mapping[str, Object]) -> Values | None:
    """Every component's pins in those targets; None when one is missing."""
    try:
        return {c.name: read_pins(c, found[c.name]) for c in spec.components}
    except PathError:
        return None
