"""Follows the versions of ModelDeployments: which is live, when one is recorded, when it is Verified."""

from datetime import datetime, timedelta

import structlog

from model_rollback.api.conditions import Condition, find_condition, is_true
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.core import quarantine, versions
from model_rollback.core.system import EXTERNALLY_MANAGED, with_conditions
from model_rollback.engine.announcer import Announcer
from model_rollback.engine.held import write_status
from model_rollback.engine.pruning import Pruning
from model_rollback.engine.recording import Recording
from model_rollback.engine.store import Key, Store, SystemEntry
from model_rollback.engine.targets import TargetWatcher
from model_rollback.engine.turns import each
from model_rollback.engine.wakeups import Wakeups
from model_rollback.errors import ClusterError, NotFound
from model_rollback.ports import Clock, Objects, Pods

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
        pods: Pods,
        pruning: Pruning,
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
        self._recording = Recording(objects, pods, pruning, announcer, clock, self._look)

    async def run(self) -> None:
        """Endless; an error of one ModelDeployment delays that one only."""
        while True:
            await each(await self._wakeups.due(), self._serve, at_once=_AT_ONCE)

    async def attend(self, key: Key) -> None:
        """Looks after one ModelDeployment at once, ahead of all that wait. Raises nothing but cancellation."""
        await self._serve(key)

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
        await self._recording.record_if_stable(entry)
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
