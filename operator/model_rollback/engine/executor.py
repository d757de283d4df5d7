"""Starts Rollbacks and keeps one task for each active one, whoever started it and whatever crashed in between."""

import asyncio
import contextlib
from datetime import datetime, timedelta

import structlog

from model_rollback import telemetry
from model_rollback.api.group import LABEL_MODEL_DEPLOYMENT, LABEL_POLICY, label_value
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.meta import LocalRef
from model_rollback.api.v1alpha1.rollback import RequestedBy, RollbackSpec
from model_rollback.core.decide import Start
from model_rollback.core.freeze import frozen
from model_rollback.core.machine import Phase, abandon, half
from model_rollback.core.plan import rollback_name
from model_rollback.engine import lock
from model_rollback.engine.closing import close, tell_freed
from model_rollback.engine.context import World
from model_rollback.engine.run import RollbackRun, asked_to_wait
from model_rollback.engine.store import Key, PolicyEntry, RollbackEntry, SystemEntry
from model_rollback.errors import ClusterError, Conflict, NotFound, Unavailable
from model_rollback.ports import Object, ObjectRef

log = structlog.get_logger(__name__)

_RETRY = timedelta(seconds=5)


class Executor:
    """Holds the running Rollbacks by the key of their ModelDeployment; there is at most one for each."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._runs: dict[Key, RollbackRun] = {}
        self._starting: set[Key] = set()
        self._not_before: dict[Key, datetime] = {}
        telemetry.HALTED.set_function(lambda: sum(run.phase is Phase.HALTED for run in self._runs.values()))

    async def start(self, policy: PolicyEntry, system: SystemEntry, start: Start) -> str | None:
        """Lock, then the Rollback object, then its task. None: somebody else was first, or the API server refused."""
        key = system.key
        if key in self._tasks or key in self._starting or self._is_to_wait(key):
            return None
        self._starting.add(key)
        try:
            async with self._world.slots.take(begun=False):
                if not await self._is_current(policy) or self._is_too_late(policy, start, system):
                    return None
                name = await self._start(key, policy, system, start)
            policy.refused = ""
            self._not_before.pop(key, None)
            return name
        except lock.LockHeld as held:
            log.info("rollback not started", modeldeployment=str(system.ref), held_by=str(held))
            return None
        except Unavailable as error:
            # The outcome is unknown: if the lock was set, `attend` finds it and clears it or goes on.
            self._not_before[key] = self._world.clock.now() + asked_to_wait(error)
            log.warning(
                "rollback could not be started yet", modeldeployment=str(system.ref), error=str(error)
            )
            return None
        except ClusterError as error:
            if policy.refused != str(error):
                self._world.announcer.tell(
                    Reason.FORBIDDEN,
                    f"a rollback could not be started: {error}",
                    [policy.regarding, system.regarding],
                )
            policy.refused = str(error)
            return None
        finally:
            self._starting.discard(key)
            self.attend(key, system)

    def _is_to_wait(self, key: Key) -> bool:
        """Whether an overloaded API server asked to be left alone for longer (429, Retry-After)."""
        return key in self._not_before and self._world.clock.now() < self._not_before[key]

    def _is_too_late(self, policy: PolicyEntry, start: Start, system: SystemEntry) -> bool:
        """Whether it has waited for so long, behind others or for the API server, that the breach must be seen anew; or
        until a time in which nothing is begun."""
        now, why = self._world.clock.now(), ""
        if now > start.good_until:
            why = "what it rests on is too old"
        elif policy.spec is not None and frozen(policy.spec.guards.freeze_windows, now) is not None:
            why = "a freeze window has begun meanwhile"
        if why:
            log.warning("rollback not started", modeldeployment=str(system.ref), why=why)
        return bool(why)

    async def _is_current(self, policy: PolicyEntry) -> bool:
        """Whether the policy that judged is there still, as it was; a watch may not have told of its end yet."""
        try:
            body = await self._world.objects.get(policy.ref)
        except NotFound:
            self._world.store.drop_policy(policy.key)
            return False
        metadata = body["metadata"]
        if (metadata["uid"], metadata["generation"]) == (policy.uid, policy.generation):
            return True
        self._world.introduce_policy(body)
        return False

    async def _start(self, key: Key, policy: PolicyEntry, system: SystemEntry, start: Start) -> str | None:
        status = start.judged  # another version may have come while this one stood in line
        name = rollback_name(system.ref.name, system.uid, status.episode, status.attempt)
        spec = _incident(policy, system, start)
        await lock.acquire(
            self._world.objects,
            system,
            name,
            episode=status.episode,
            attempt=status.attempt,
            digest=status.current_digest,
        )
        labels = {
            LABEL_MODEL_DEPLOYMENT: label_value(system.ref.name),
            LABEL_POLICY: label_value(policy.ref.name),
        }
        ref = ObjectRef(system.ref.api_version, "Rollback", system.ref.namespace, name)
        written = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        body = lock.rollback_body(system, name, written, labels, start.evidence)
        try:
            created = await self._world.objects.create(ref, body)
        except Conflict:
            created = await self._world.objects.get(ref)
            if not _same_decision(RollbackEntry(created).spec, spec):
                log.error("a rollback of this name is there, but it is not ours", rollback=name)
                await lock.drop(self._world.objects, system, name)
                return None
        except Unavailable:
            raise
        except ClusterError:
            await lock.drop(self._world.objects, system, name)
            raise
        self._launch(
            key, system, name, RollbackRun(self._world, system, RollbackEntry(created, start.evidence))
        )
        return name

    def attend(self, key: Key, system: SystemEntry) -> None:
        """Called for every ModelDeployment that is seen: a held lock without a task gets one."""
        if not system.status.active_rollback or key in self._starting:
            return
        if key not in self._tasks:
            self._launch(key, system, system.status.active_rollback)

    def offer(self, body: Object) -> bool:
        """A Rollback object was seen. Whether it is one that runs here."""
        run = self._run_of(body)
        return run is not None and run.offer(body)

    def gone(self, body: Object) -> None:
        """A Rollback object was deleted; one that runs here, or is halted, lets go of the lock."""
        run = self._run_of(body)
        if run is not None and run.rollback.uid == body["metadata"].get("uid", ""):
            run.vanish()

    def active(self, key: Key) -> RollbackRun | None:
        """What runs for a ModelDeployment now."""
        return self._runs.get(key)

    def rollbacks(self) -> list[RollbackEntry]:
        """Those that run here, or are halted."""
        return [run.rollback for run in self._runs.values()]

    def _run_of(self, body: Object) -> RollbackRun | None:
        spec = body.get("spec") or {}
        key = (body["metadata"]["namespace"], (spec.get("modelDeploymentRef") or {}).get("name", ""))
        run = self._runs.get(key)
        return run if run is not None and run.name == body["metadata"]["name"] else None

    def is_starting(self, key: Key) -> bool:
        """Whether a Rollback of that ModelDeployment is being created now."""
        return key in self._starting

    def wake(self, key: Key) -> None:
        """A target of the ModelDeployment changed."""
        run = self._runs.get(key)
        if run is not None:
            run.woken.set()

    async def stop(self) -> None:
        """Cancels all runs; each can be taken up where it stands."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def bereave(self, key: Key, uid: str) -> None:
        """The ModelDeployment of that uid was deleted: its Rollback ends as Aborted and says so."""
        run, task = self._runs.get(key), self._tasks.get(key)
        if run is not None and run.system_uid != uid:
            return  # it is of a ModelDeployment that was made anew
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if run is not None:
            await self._stop_jobs(run, "the ModelDeployment was deleted")
            await self._abandon(run.rollback, "The ModelDeployment was deleted.")

    async def _stop_jobs(self, run: RollbackRun, why: str) -> None:
        try:
            await run.stop_jobs(why)
        except ClusterError as error:
            log.warning("jobs not stopped", rollback=run.name, error=str(error))

    def _launch(self, key: Key, system: SystemEntry, name: str, run: RollbackRun | None = None) -> None:
        if run is not None:
            self._runs[key] = run
        task = asyncio.create_task(self._serve(key, system, name, run), name=f"rollback {key[0]}/{name}")
        self._tasks[key] = task

        def done(finished: asyncio.Task[None]) -> None:
            if self._tasks.get(key) is finished:
                del self._tasks[key]
                run = self._runs.pop(key, None)
                if run is not None and (run.asked or run.succeeded):
                    # Undo was asked while the lock was being cleared, or another one waits for its predecessor.
                    self._world.reconsider(run.rollback.ref)

        task.add_done_callback(done)

    async def _serve(self, key: Key, system: SystemEntry, name: str, run: RollbackRun | None) -> None:
        """Until the lock is cleared, whatever goes wrong on the way."""
        if run is None and key in self._not_before:
            await self._world.clock.sleep_until(self._not_before[key])
        while True:
            try:
                run = run or await self._take_up(system, name)
                if run is None:
                    return
                self._runs[key] = run
                await run.run()
                return
            except NotFound as error:
                log.warning("rollback ends: an object is gone", rollback=name, error=str(error))
                if run is not None:
                    await self._let_go(system, run)
                return
            except ClusterError as error:
                log.warning("rollback waits for the API server", rollback=name, error=str(error))
            except Exception:
                log.exception("rollback is taken up again after an error", rollback=name)
            run = None
            await self._world.clock.sleep_until(self._world.clock.now() + _RETRY)

    async def _take_up(self, system: SystemEntry, name: str) -> RollbackRun | None:
        """After a restart: go on with the Rollback that holds the lock; a lock without one is cleared (None)."""
        ref = ObjectRef(system.ref.api_version, "Rollback", system.ref.namespace, name)
        try:
            return RollbackRun(self._world, system, RollbackEntry(await self._world.objects.get(ref)))
        except NotFound:
            log.warning(
                "lock without its rollback is cleared", modeldeployment=str(system.ref), rollback=name
            )
            await lock.drop(self._world.objects, system, name)
            return None

    async def _let_go(self, system: SystemEntry, run: RollbackRun) -> None:
        """The Rollback object, or the ModelDeployment, was deleted while it ran: nobody else would clear the lock."""
        await self._stop_jobs(run, "its Rollback was deleted")
        while not await self._is_let_go(system, run):
            await self._world.clock.sleep_until(self._world.clock.now() + _RETRY)

    async def _is_let_go(self, system: SystemEntry, run: RollbackRun) -> bool:
        """Clears the lock and says so. False: the API server did not let it be written."""
        now = self._world.clock.now()
        try:
            policy = self._world.store.policy_of(run.rollback)
            if policy is not None:
                episode = system.status.episode
                with contextlib.suppress(NotFound):
                    await lock.close_policy(
                        self._world.objects, policy, run.rollback, episode=episode, finished_at=now
                    )
            concerned = [system.regarding, *([policy.regarding] if policy is not None else [])]
            await self._world.look_at_targets(system.key)
            if await lock.release(self._world.objects, system, run.rollback, finished_at=now):
                tell_freed(self._world, run.rollback, concerned)
            said = f"{run.name} was deleted while it ran. {half(run.rollback.status)}"
            self._world.announcer.tell(Reason.ROLLBACK_ABORTED, said, concerned)
        except NotFound:
            await self._abandon(run.rollback, "The ModelDeployment was deleted.")
        except ClusterError as error:
            log.warning("lock could not be cleared yet", modeldeployment=str(system.ref), error=str(error))
            return False
        return True

    async def _abandon(self, rollback: RollbackEntry, said: str) -> None:
        """Ends the record of a Rollback that nobody can move any more."""
        at = self._world.clock.now()
        policy = self._world.store.policy_of(rollback)
        concerned = [policy.regarding] if policy is not None else []
        await close(self._world, rollback, lambda s: abandon(s, said, at=at), concerned)


def _incident(policy: PolicyEntry, system: SystemEntry, start: Start) -> RollbackSpec:
    """What a breach decides."""
    return RollbackSpec(
        model_deployment_ref=LocalRef(name=system.ref.name),
        policy_ref=LocalRef(name=policy.ref.name),
        type="Incident",
        target_version=start.candidate.version,
        target_digest=start.candidate.digest,
        reason=start.reason,
        from_version=system.status.current_version,
        from_digest=system.status.current_digest,
        requested_by=RequestedBy(kind="Policy", name=policy.ref.name),
    )


def _same_decision(one: RollbackSpec, other: RollbackSpec) -> bool:
    """Whether two specs differ at most in what people want and say of them, and in the words of the reason."""
    asked = {"intent", "intent_at", "on_abort", "reason", "review"}
    return one.model_dump(exclude=asked) == other.model_dump(exclude=asked)
