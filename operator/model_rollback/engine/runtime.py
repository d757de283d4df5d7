"""Puts the engine together and runs it. Watch events come in here; everything else follows."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from model_rollback import telemetry
from model_rollback.core.brake import BrakeRule
from model_rollback.engine.announcer import Announcer
from model_rollback.engine.census import take_census
from model_rollback.engine.context import World
from model_rollback.engine.evaluator import Evaluator
from model_rollback.engine.executor import Executor
from model_rollback.engine.first_list import FirstList
from model_rollback.engine.outside import Outside
from model_rollback.engine.pruning import Pruning
from model_rollback.engine.requests import Requests
from model_rollback.engine.retention import Retention
from model_rollback.engine.roll_call import RollCall, told_of
from model_rollback.engine.scheduler import Scheduler
from model_rollback.engine.slots import Slots
from model_rollback.engine.store import Key, PolicyEntry, RollbackEntry, Store, SystemEntry, key_of
from model_rollback.engine.targets import TargetWatcher
from model_rollback.engine.tracker import Tracker
from model_rollback.engine.wakeups import Wakeups
from model_rollback.errors import ClusterError
from model_rollback.ports import Object, ObjectRef

log = structlog.get_logger(__name__)

_FOR_TARGETS: Final = 10.0
"""Seconds that the lists of targets are waited for at a start: one kind that hangs must not hold all others."""
_MANY: Final = 500
_FOR_THE_FIRST_TICK: Final = 15.0
"""Seconds; a source that does not answer must not hold up what needs no source."""


class Runtime:
    """The engine. `run` is endless; the three `on_…` methods take watch events at any time, also before `run`.

    It lists what there is itself (`first_list`, which also takes what kopf shows), because that is soon done.
    Until this replica is elected it learns what there is and does nothing.
    """

    def __init__(
        self, outside: Outside, *, elected: Callable[[], Awaitable[int]], brake: BrakeRule, at_once: int
    ) -> None:
        """
        Args:
            elected: answers with the epoch of this replica's term as soon as it may write.
            at_once: so many Rollbacks are begun or moved towards their patch at the same moment.
        """
        objects, clock = outside.objects, outside.clock
        self.store = Store(outside.source_rules)
        telemetry.COUNTED.take = lambda: take_census(self.store)
        self._clock = clock
        self._objects = objects
        self._wakeups: Wakeups[Key] = Wakeups(clock)
        announcer = Announcer(outside.recorder)
        self.targets = TargetWatcher(self.store, objects, outside.watches, clock, self._target_changed)
        self._world = self._make_world(outside, announcer, Slots(at_once))
        self.executor = Executor(self._world)
        self.requests = Requests(self._world, self.executor)
        self._roll_call = RollCall(objects, outside.watches, clock)
        self._retention = Retention(self.store, objects)
        self._pruning = Pruning(objects, outside.lists)
        self._tracker = Tracker(
            self.store, objects, outside.pods, self._pruning, self.targets, self._wakeups, announcer, clock
        )
        self._evaluator = Evaluator(
            self.store, objects, self.targets, self._tracker, announcer, self.executor, self._introduce
        )
        self.scheduler = Scheduler(self.store, outside.sources, self._evaluator, clock, brake)
        self._registered: dict[Key, tuple[str, int]] = {}
        self._policies_seen: dict[Key, tuple[str, int]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._elected = elected
        self._epoch = 0
        self._leads = False
        self._unattended: dict[Key, Object] = {}
        takes = {
            "RollbackPolicy": self.on_policy,
            "ModelDeployment": self.on_system,
            "Rollback": self.on_rollback,
        }
        self.first_list = FirstList(takes, objects, outside.watches, clock)

    def _make_world(self, outside: Outside, announcer: Announcer, slots: Slots) -> World:
        """The engine as a run of a Rollback sees it."""
        return World(
            self.store,
            outside.objects,
            outside.clock,
            outside.sources_for,
            outside.http,
            outside.logs,
            announcer,
            look_at_targets=self.targets.refresh,
            introduce_policy=lambda body: self.on_policy(body, deleted=False),
            introduce_system=self._introduce,
            acting_as=outside.acting_as,
            reconsider=lambda ref: self._spawn(self._reconsider(ref)),
            track=self._wakeups.wake,
            epoch=lambda: self._epoch,
            slots=slots,
        )

    async def run(self) -> None:
        """Endless. A part that fails ends the whole; cancelling ends everything at once, safe at any moment."""
        try:
            self._spawn(self._list_first())
            self._epoch = await self._elected()
            await self.first_list.is_over.wait()
            self._begin()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._track(), name="tracker")
                group.create_task(self._evaluate(), name="scheduler")
        finally:
            await self.executor.stop()
            await self.targets.stop()
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)

    async def _list_first(self) -> None:
        await self.first_list.run()
        self.targets.all_registered()
        await self.first_list.find_deleted()

    async def known(self) -> None:
        """Returns when what there is at a start is known, targets included, as far as it can be listed."""
        await self.first_list.is_over.wait()
        await self.targets.listed(_FOR_TARGETS)

    async def at_leisure(self) -> None:
        """Returns when everybody is evaluated at a start, as far as that can be waited for: what comes behind it may
        take the processor for seconds where there are many."""
        await self.known()
        if len(self.store.policies) > _MANY:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.scheduler.ticked.wait(), _FOR_THE_FIRST_TICK)

    async def _track(self) -> None:
        """Endless."""
        await self.at_leisure()
        await self._tracker.run()

    async def _evaluate(self) -> None:
        """Endless. A tick before the targets are known would judge nobody, and delay the one that does."""
        await self.known()
        await self.scheduler.run()

    def _begin(self) -> None:
        """Takes up everything that was seen while another replica was responsible for it."""
        self._leads = True
        for key, system in list(self.store.systems.items()):
            self._wakeups.wake(key)
            self.executor.attend(key, system)
        for policy in list(self.store.policies.values()):
            self._tell_if_invalid(policy)
        unattended, self._unattended = self._unattended, {}
        for body in unattended.values():
            self.on_rollback(body, deleted=False)
        self.scheduler.wake()

    def on_policy(self, body: Object, *, deleted: bool) -> None:
        """A RollbackPolicy was seen, or was deleted."""
        key = key_of(body)
        if deleted:
            if _is_of_another(body, self.store.policies.get(key)):
                return
            self.store.drop_policy(key)
            self._policies_seen.pop(key, None)
            return
        entry = self.store.put_policy(body)
        # Not compared with the entry before: a status write of ours may have adopted the new spec already.
        if self._policies_seen.get(key) == (entry.uid, entry.generation):
            return
        self._policies_seen[key] = (entry.uid, entry.generation)
        self._tell_if_invalid(entry)
        self.scheduler.wake()

    def _tell_if_invalid(self, policy: PolicyEntry) -> None:
        """It is in no tick, so it is told at once."""
        if self._leads and policy.spec is None:
            self._spawn(self._evaluator.evaluate(policy, {}, now=self._clock.now()))

    def on_system(self, body: Object, *, deleted: bool) -> None:
        """A ModelDeployment was seen, or was deleted."""
        key = key_of(body)
        if deleted:
            if not _is_of_another(body, self.store.systems.get(key)):
                self.targets.forget(key)
                self._registered.pop(key, None)
                self.store.drop_system(key)
            if self._leads:
                self._spawn(self.executor.bereave(key, str(body["metadata"].get("uid", ""))))
            return
        self._introduce(body)

    def on_rollback(self, body: Object, *, deleted: bool) -> None:
        """A Rollback was seen, or was deleted."""
        if not self._leads:
            self._unattended.pop(key_of(body), None)
            if not deleted and self.requests.concerns(body):
                self._unattended[key_of(body)] = body
        elif deleted:
            self.executor.gone(body)
            self.requests.gone(body)
            self._retention.gone(body)
            self._spawn(self._prune(body))
        elif not self.executor.offer(body) and self.requests.concerns(body):
            self._spawn(self.requests.look(body))
        too_many = None if deleted else self._retention.seen(body)
        if too_many is not None and self._leads:
            self._spawn(self._retention.prune(too_many))

    def look_for_missing(self) -> None:
        """Our kinds could not be watched for a while, and are now: finds out what was deleted meanwhile."""
        self._spawn(self._find_missing())

    async def _find_missing(self) -> None:
        call = self._roll_call.hold
        await call(
            "RollbackPolicy",
            lambda: list(self.store.policies.values()),
            lambda held: self.on_policy(told_of(held), deleted=True),
        )
        await call(
            "ModelDeployment",
            lambda: list(self.store.systems.values()),
            lambda held: self.on_system(told_of(held), deleted=True),
        )
        await call(
            "Rollback", lambda: [*self.executor.rollbacks(), *self.requests.waiting()], self._rollback_gone
        )

    def _rollback_gone(self, held: RollbackEntry) -> None:
        spec = {
            "modelDeploymentRef": {"name": held.spec.model_deployment_ref.name},
            "policyRef": {"name": held.spec.policy_ref.name},
        }
        self.on_rollback(told_of(held, spec), deleted=True)

    async def _prune(self, rollback: Object) -> None:
        """What only a deleted Rollback needed goes with it."""
        reference = (rollback.get("spec") or {}).get("modelDeploymentRef") or {}
        system = self.store.systems.get((rollback["metadata"]["namespace"], str(reference.get("name", ""))))
        if system is not None:
            await self._pruning.prune(system)

    async def _reconsider(self, ref: ObjectRef) -> None:
        """Looks again at a Rollback that has changed while its run ended."""
        try:
            self.on_rollback(await self._objects.get(ref), deleted=False)
        except ClusterError as error:
            log.warning("rollback not looked at again", rollback=str(ref), error=str(error))

    def _introduce(self, body: Object) -> SystemEntry:
        key = key_of(body)
        entry = self.store.put_system(body)
        self._evaluator.seen(key)
        if self._registered.get(key) != (entry.uid, entry.generation):
            self._registered[key] = (entry.uid, entry.generation)
            self.targets.register(key, entry)
            self._wakeups.wake(key)
        if not self._leads:
            return entry
        self.executor.attend(key, entry)
        waiting = self.requests.next_of(key, entry)
        if waiting is not None:
            self._spawn(self._reconsider(waiting))
        return entry

    def _target_changed(self, key: Key) -> None:
        self._wakeups.wake(key)
        self.executor.wake(key)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _is_of_another(body: Object, entry: PolicyEntry | SystemEntry | None) -> bool:
    """Whether what was deleted has a successor of its name, which was read before the watch told of the end."""
    return entry is not None and entry.uid != body["metadata"].get("uid")
