"""Rollbacks that no run moves: those of people that wait for the lock, finished ones that are undone or reviewed,
and orphans."""

from datetime import timedelta
from typing import Protocol

import structlog

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1 import RollbackStatus
from model_rollback.core import machine
from model_rollback.core.machine import Phase, phase_of
from model_rollback.core.review import reviewed
from model_rollback.engine import lock
from model_rollback.engine.closing import close, tell_result
from model_rollback.engine.context import World
from model_rollback.engine.held import write_status
from model_rollback.engine.store import Key, RollbackEntry, SystemEntry
from model_rollback.errors import ClusterError, NotFound
from model_rollback.ports import Object, ObjectRef

log = structlog.get_logger(__name__)

_RETRY = timedelta(seconds=5)


class Attendant(Protocol):
    """Runs the Rollback that holds a ModelDeployment's lock."""

    def attend(self, key: Key, system: SystemEntry) -> None:
        """A held lock without a task gets one."""

    def is_starting(self, key: Key) -> bool:
        """Whether a Rollback of that ModelDeployment is being created now."""


class Requests:
    """Answers each request until it is answered; a person's Rollback waits while another one is at work."""

    def __init__(self, world: World, attendant: Attendant) -> None:
        self._world = world
        self._attendant = attendant
        self._waiting: dict[Key, dict[str, RollbackEntry]] = {}

    def concerns(self, body: Object) -> bool:
        """Whether somebody must look at a Rollback that does not run here: it is unfinished, or people spoke."""
        status, spec = body.get("status") or {}, body.get("spec") or {}
        if not status.get("result"):
            return True
        if spec.get("intent") != "Undo" and "review" not in spec:
            return False
        rollback = RollbackEntry(body)
        return (spec.get("intent") == "Undo" and _asked(rollback)) or self._reviewed(
            rollback
        ) != rollback.status

    async def look(self, body: Object) -> None:
        """One Rollback, until the API server let it be answered."""
        while True:
            try:
                if await self._look(RollbackEntry(body)):
                    return
            except NotFound as error:
                log.info("rollback is gone", error=str(error))
                return
            except ClusterError as error:
                log.warning("request waits for the API server", error=str(error))
            await self._world.clock.sleep_until(self._world.clock.now() + _RETRY)
            try:
                body = await self._world.objects.get(RollbackEntry(body).ref)
            except NotFound:
                return
            except ClusterError as error:
                log.warning("request waits for the API server", error=str(error))

    def waiting(self) -> list[RollbackEntry]:
        """Those that wait for their turn."""
        return [rollback for waiting in self._waiting.values() for rollback in waiting.values()]

    def gone(self, body: Object) -> None:
        """A Rollback was deleted; it waits no longer."""
        metadata = body["metadata"]
        for (namespace, _), waiting in self._waiting.items():
            entry = waiting.get(metadata["name"]) if namespace == metadata["namespace"] else None
            if entry is not None and entry.uid == metadata.get("uid", ""):
                del waiting[entry.ref.name]

    def next_of(self, key: Key, system: SystemEntry) -> ObjectRef | None:
        """The person's Rollback whose turn it is, oldest first; None while another one is at work."""
        if system.status.active_rollback:
            return None
        waiting = sorted(self._waiting.get(key, {}).values(), key=lambda r: (r.created_at, r.ref.name))
        return waiting[0].ref if waiting else None

    def _reviewed(self, rollback: RollbackEntry) -> RollbackStatus:
        return reviewed(rollback.status, rollback.spec.review, at=self._world.clock.now())

    async def _look(self, rollback: RollbackEntry) -> bool:
        """False: while another one of its ModelDeployment is being started, a person's request waits for that.

        What is being started, and seen before its starter knows that it was created, is left to that one.
        """
        if rollback.unreadable:
            log.error("rollback is left alone", rollback=str(rollback.ref), error=rollback.unreadable)
            return True
        await write_status(self._world.objects, rollback, lambda _: self._reviewed(rollback))
        if rollback.status.result and not _asked(rollback):
            return True
        key = (rollback.ref.namespace, rollback.spec.model_deployment_ref.name)
        if self._attendant.is_starting(key):
            return not _is_of_people(rollback)
        return await self._answer(key, rollback)

    async def _answer(self, key: Key, rollback: RollbackEntry) -> bool:
        try:
            ref = ObjectRef(rollback.ref.api_version, "ModelDeployment", *key)
            system = self._world.introduce_system(await self._world.objects.get(ref))
        except NotFound:
            await self._without_system(rollback)
            return True
        if system.status.active_rollback == rollback.ref.name:
            return True
        if self._attendant.is_starting(key):
            return not _is_of_people(rollback)
        if rollback.status.result:
            await self._undo(key, system, rollback)
        elif rollback.spec.type == "Manual" and phase_of(rollback.status) is Phase.REQUESTED:
            await self._start(key, system, rollback)
        else:
            said = "It does not hold the lock of its ModelDeployment."
            at = self._world.clock.now()
            await close(self._world, rollback, lambda s: machine.abandon(s, said, at=at), [system.regarding])
        return True

    async def _without_system(self, rollback: RollbackEntry) -> None:
        at = self._world.clock.now()
        name = rollback.spec.model_deployment_ref.name
        if rollback.status.result:
            await self._refuse(rollback, None, f"ModelDeployment {name} was deleted")
        elif rollback.spec.type == "Manual" and phase_of(rollback.status) is Phase.REQUESTED:
            said = f"ModelDeployment {name} does not exist in this namespace"
            await close(
                self._world, rollback, lambda s: machine.deny(s, Reason.TARGETS_MISSING, said, at=at), []
            )
        else:
            said = "The ModelDeployment was deleted."
            await close(self._world, rollback, lambda s: machine.abandon(s, said, at=at), [])

    async def _start(self, key: Key, system: SystemEntry, rollback: RollbackEntry) -> None:
        """Takes the lock for a person's Rollback, or lets it wait; what it may do is judged when it is planned."""
        if _asked(rollback):
            await self._heed(rollback, system)
            if rollback.status.result:
                self._waiting.get(key, {}).pop(rollback.ref.name, None)
                return
        try:
            await lock.claim(self._world.objects, system, rollback.ref.name)
        except lock.LockHeld as held:
            await self._wait(key, system, rollback, str(held))
            return
        self._waiting.get(key, {}).pop(rollback.ref.name, None)
        self._attendant.attend(key, system)

    async def _wait(self, key: Key, system: SystemEntry, rollback: RollbackEntry, held_by: str) -> None:
        said, at = f"{held_by} is at work: this one waits until it is finished", self._world.clock.now()
        first = rollback.ref.name not in self._waiting.setdefault(key, {})
        self._waiting[key][rollback.ref.name] = rollback
        waits = rollback.observed(lambda s: machine.waits(s, said, at=at))
        await write_status(self._world.objects, rollback, waits)
        if first:
            self._world.announcer.tell(
                Reason.ROLLBACK_IN_PROGRESS, said, [rollback.regarding, system.regarding]
            )

    async def _undo(self, key: Key, system: SystemEntry, rollback: RollbackEntry) -> None:
        """Takes the lock again; the run then finds what is asked of it. A version of somebody else is not touched."""
        if not _asked(rollback):
            return
        if rollback.status.result != "Succeeded":
            await self._heed(rollback, system)
            return
        try:
            await self._world.look_at_targets(key)
            await lock.acquire_again(self._world.objects, system, rollback)
        except lock.LockHeld as held:
            why = f"{held} is at work; ask again with a new intentAt when it is finished"
            await self._refuse(rollback, system, why)
        except lock.NotItsVersion as other:
            why = f"{other} is live, not {rollback.status.to_version}: there is nothing of it to undo"
            await self._refuse(rollback, system, why)
        else:
            self._attendant.attend(key, system)

    async def _heed(self, rollback: RollbackEntry, system: SystemEntry) -> None:
        """Answers an intent of a Rollback that holds no lock."""
        spec, at, refused = rollback.spec, self._world.clock.now(), ""

        def heed(status: RollbackStatus) -> RollbackStatus:
            nonlocal refused
            heeded = machine.heed(status, spec.intent, spec.intent_at, spec.on_abort, at=at)
            refused = heeded.refused
            return heeded.status

        await write_status(self._world.objects, rollback, rollback.observed(heed))
        concerned = [rollback.regarding, system.regarding]
        if refused:
            self._world.announcer.tell(Reason.INTENT_REFUSED, f"{spec.intent}: {refused}", concerned)
        else:
            tell_result(self._world, rollback, concerned)

    async def _refuse(self, rollback: RollbackEntry, system: SystemEntry | None, why: str) -> None:
        spec, at = rollback.spec, self._world.clock.now()
        await write_status(
            self._world.objects,
            rollback,
            rollback.observed(lambda s: machine.refuse(s, spec.intent, spec.intent_at, why, at=at)),
        )
        concerned = [rollback.regarding, *([system.regarding] if system is not None else [])]
        self._world.announcer.tell(Reason.INTENT_REFUSED, f"{spec.intent}: {why}", concerned)


def _is_of_people(rollback: RollbackEntry) -> bool:
    return rollback.spec.type == "Manual" or rollback.status.result != ""


def _asked(rollback: RollbackEntry) -> bool:
    spec = rollback.spec
    return machine.new_intent(spec.intent, spec.intent_at, rollback.status) is not None
