"""One Rollback from request to result: look where it is, make one move, record it, look again.

The order of writes makes it crash-safe: plan before anything, a step Running with `before` and `after` before its
patch, the result before the lock is cleared. A process that dies anywhere is followed by one that looks where it is.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import structlog

from model_rollback.api.conditions import find_condition, truncate
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1 import RollbackStatus
from model_rollback.core import machine
from model_rollback.core.machine import Phase, phase_of
from model_rollback.engine import lock, planning
from model_rollback.engine.closing import tell_freed, tell_result, with_way
from model_rollback.engine.context import Context, Pause, World
from model_rollback.engine.held import is_newer
from model_rollback.engine.preflight import Obstacle, Preflight
from model_rollback.engine.reverting import Reverting
from model_rollback.engine.stopping import stop_jobs
from model_rollback.engine.store import RollbackEntry, SystemEntry
from model_rollback.engine.validating import Validating
from model_rollback.engine.wakeups import wait_until
from model_rollback.errors import ClusterError, NotFound, Unavailable

log = structlog.get_logger(__name__)

_NOTHING: Mapping[str, str] = MappingProxyType({})
_RETRY = timedelta(seconds=2)
_RETRY_MAX = timedelta(seconds=30)
_WRITING: Final = (Phase.REQUESTED, Phase.PREFLIGHT, Phase.REVERTING, Phase.RESTORING)


class RollbackRun:
    """The one task that moves one Rollback.

    Attributes:
        woken: set when its object, its system or a target changed.
        due: when it looks again by itself; None: only when it is woken.
        succeeded: whether another Rollback has its name now.
    """

    def __init__(self, world: World, system: SystemEntry, rollback: RollbackEntry) -> None:
        self.rollback = rollback
        self._c = Context(world, system, rollback)
        self._reverting = Reverting(self._c)
        self._validating = Validating(self._c)
        self.woken = asyncio.Event()
        self.succeeded = False
        self._vanished = False
        self._overtaken = False
        self._at_once = True
        self.due: datetime | None = world.clock.now()

    @property
    def name(self) -> str:
        """The Rollback's name."""
        return self.rollback.ref.name

    @property
    def system_uid(self) -> str:
        """Of the ModelDeployment that it moves."""
        return self._c.system.uid

    @property
    def phase(self) -> Phase:
        """Where it is."""
        return phase_of(self.rollback.status)

    @property
    def asked(self) -> bool:
        """Whether a person asks something that has no answer yet."""
        spec = self.rollback.spec
        return machine.new_intent(spec.intent, spec.intent_at, self.rollback.status) is not None

    def offer(self, body: Mapping[str, Any]) -> bool:
        """A newer state of the Rollback object was seen; False: it is another one of its name.

        A successor tells that this one was deleted, whether or not a watch told of that.
        """
        metadata = body["metadata"]
        if metadata.get("uid", "") != self.rollback.uid:
            if is_newer(str(metadata.get("resourceVersion", "")), self.rollback.resource_version):
                self.succeeded = True
                self.vanish()
            return False
        if self.rollback.adopt(body):
            self.woken.set()
        return True

    def vanish(self) -> None:
        """The Rollback object was deleted."""
        self._vanished = True
        self.woken.set()

    async def stop_jobs(self, why: str) -> None:
        """Ends what it has started and nobody will wait for; raises Unavailable."""
        await stop_jobs(self._c, why)

    async def run(self) -> None:
        """Until the lock is cleared. Errors of the API server are waited out.

        Raises:
            NotFound: the Rollback object was deleted; the caller clears the lock.
        """
        delay = _RETRY
        while True:
            self.woken.clear()
            if self._vanished:
                raise NotFound(f"{self.rollback.ref} was deleted")
            try:
                async with self._turn():
                    pause = await self._move_once()
                delay = _RETRY
                if pause is not None:
                    self._c.look_anew()
            except NotFound:
                raise
            except ClusterError as error:
                log.warning("rollback waits for the API server", rollback=self.name, error=str(error))
                self._c.look_anew()
                pause = Pause(self._c.now() + delay)
                await self._leave_alone(error)
                delay = min(2 * delay, _RETRY_MAX)
            if self.phase is Phase.FINISHED and await self._released():
                return
            if pause is not None:
                self.due = pause.until
                if pause.alone is not None:
                    await self._c.world.clock.sleep_until(pause.alone)
                await wait_until(self._c.world.clock, self.woken, pause.until)

    def _turn(self) -> contextlib.AbstractAsyncContextManager[None]:
        """A slot while it is on its way to or from its targets; a storm must not hold up validations and people."""
        if self.phase in _WRITING:
            return self._c.world.slots.take(begun=True)
        return contextlib.nullcontext()

    async def _move_once(self) -> Pause | None:
        """One move; None as well when the status had moved on meanwhile: by a write whose answer was lost."""
        seen, again = self.rollback.resource_version, self._overtaken
        try:
            pause = await self._move()
        except machine.IllegalTransition:
            self._overtaken = not again and self.rollback.resource_version != seen
            if not self._overtaken:
                raise
            self._c.forget_seen()
            return None
        self._overtaken = False
        return pause

    async def _move(self) -> Pause | None:
        if self.rollback.unreadable:
            log.error("rollback is left alone", rollback=self.name, error=self.rollback.unreadable)
            return Pause()
        phase = self.phase
        if await self._heed_intent():
            return None
        match phase:
            case Phase.REQUESTED:
                return await self._plan()
            case Phase.PREFLIGHT:
                return await self._preflight()
            case Phase.REVERTING:
                return await self._reverting.revert()
            case Phase.VALIDATING:
                return await self._validating.validate()
            case Phase.RESTORING:
                return await self._reverting.restore()
            case Phase.HALTED | Phase.FINISHED:
                return Pause()

    async def _plan(self) -> Pause | None:
        c = self._c
        policy = await c.find_policy()
        made = await planning.make(c.world.objects, c.step_runner, c.system, c.rollback, policy, now=c.now())
        if made.denied is not None:
            reason, message = made.denied
            await c.write(lambda s: machine.deny(s, reason, message, at=c.now()))
        elif made.superseded:
            await c.supersede(made.superseded)
        elif made.abandoned:
            await self._abandon(made.abandoned)
        else:
            c.remember(made.kept)
            return await self._record(made)
        return None

    async def _record(self, made: planning.Made) -> Pause | None:
        """Writes the plan: with its first steps, in one write, where every dry run passes at once.

        A dry run writes nothing, so that it may come before the plan is written, as long as both come before anything
        is written to a target. Where it does not pass, the plan is written alone, and its preflight says why; so it is
        where it could not be asked, when this is tried again.
        """
        c, at = self._c, self._c.now()

        def planned(status: RollbackStatus) -> RollbackStatus:
            requested = phase_of(status) is Phase.REQUESTED
            return machine.planned(status, made.fields, at=at) if requested else status

        def tell() -> None:
            words = with_way(c.rollback, c.rollback.spec.reason)
            c.tell(Reason.ROLLBACK_STARTED, words, components=c.reverted)

        c.draft(planned, tell)
        at_once, self._at_once = self._at_once, False
        obstacle = await self._begin() if at_once else None
        if obstacle is not None or not at_once:
            await c.write(lambda s: s)
        return await self._wait_behind(obstacle)

    async def _begin(self) -> Obstacle | None:
        """The first steps, in one write, when every dry run passes; else what stands in the way."""
        preflight = Preflight(self._c)
        obstacle = await preflight.check()
        if obstacle is None:
            unknown = [str(reference) for reference in sorted(preflight.unknown)]
            await self._reverting.begin(unknown, preflight.artifacts)
        return obstacle

    async def _preflight(self) -> Pause | None:
        return await self._wait_behind(await self._begin())

    async def _wait_behind(self, obstacle: Obstacle | None) -> Pause | None:
        if obstacle is None:
            return None
        if obstacle.removed and len(machine.tried(self._c.status)) == 1:
            await self._abandon(obstacle.message)
            return None
        return await self._preflight_waits(obstacle.reason, obstacle.message)

    async def _abandon(self, message: str) -> None:
        c = self._c
        await c.write(lambda s: machine.abandon(s, message, at=c.now()))

    async def _preflight_waits(self, reason: Reason, message: str) -> Pause | None:
        c = self._c
        digest = await planning.live_digest(c.world.objects, c.system)
        if digest is not None and digest != self._expected_digest():
            await c.supersede("another version was deployed before anything was written")
            return None
        if c.now() - self._preflight_began() > c.procedure.step_timeout:
            await c.halt("", reason, f"the dry run was refused: {message}")
            return None
        said = f"the dry run is refused, nothing is written: {message}"
        planned = find_condition(c.status.conditions, "Planned")
        if planned is None or (planned.reason, planned.message) != (reason, truncate(said)):
            c.tell(Reason.PREFLIGHT_REFUSED, said, components=c.reverted)
        await c.write(lambda s: machine.preflight_waits(s, reason, said, at=c.now()))
        return Pause(c.now() + _RETRY)

    def _expected_digest(self) -> str:
        """What runs before anything is written to the present target."""
        tried = machine.tried(self._c.status)
        return tried[-2].digest if len(tried) > 1 else self._c.from_digest

    def _preflight_began(self) -> datetime:
        resumed = find_condition(self._c.status.conditions, "Halted")
        began = [self._c.status.timeline.detected_at or self._c.now()]
        began += [resumed.last_transition_time] if resumed is not None else []
        began += [s.finished_at for s in self._c.status.steps if s.action == "Validate" and s.finished_at]
        return max(began)

    async def _heed_intent(self) -> bool:
        c = self._c
        spec = c.rollback.spec
        wanted = machine.new_intent(spec.intent, spec.intent_at, c.status)
        if wanted is None:
            return False

        refused, stopped = "", _NOTHING
        if wanted == "Abort" and not machine.refusal(c.status, wanted, spec.on_abort):
            # Before the record says so: until it does, whoever comes after a crash stops them anew.
            stopped = await stop_jobs(c, "a person said Abort")

        def heed(status: RollbackStatus) -> RollbackStatus:
            nonlocal refused
            heeded = machine.heed(status, wanted, spec.intent_at, spec.on_abort, at=c.now())
            refused = heeded.refused
            return heeded.status if refused else machine.stopped(heeded.status, stopped)

        halted = self.phase is Phase.HALTED
        await c.write(heed)
        if refused:
            c.tell(Reason.INTENT_REFUSED, f"{wanted}: {refused}")
        elif halted and wanted == "Resume":
            self._validating.reset()
            c.tell(Reason.ROLLBACK_RESUMED, "a person said Resume: the step is repeated")
        return True

    async def _released(self) -> bool:
        """Marks the breach as answered, then clears the lock. False: try again."""
        c = self._c
        finished_at = c.status.timeline.finished_at or c.now()
        try:
            policy = await c.find_policy()
            if policy is not None:
                with contextlib.suppress(NotFound):
                    await lock.close_policy(
                        c.world.objects,
                        policy,
                        c.rollback,
                        episode=c.system.status.episode,
                        finished_at=finished_at,
                    )
            await stop_jobs(c, f"the Rollback has ended as {c.status.result}")
            await c.world.look_at_targets(c.system.key)
            with contextlib.suppress(NotFound):
                if await lock.release(c.world.objects, c.system, c.rollback, finished_at=finished_at):
                    tell_freed(c.world, c.rollback, c.concerned(()))
        except ClusterError as error:
            log.warning("lock could not be cleared yet", rollback=self.name, error=str(error))
            await self._leave_alone(error)
            await wait_until(c.world.clock, self.woken, c.now() + _RETRY)
            return False
        # A version is recorded only while nobody holds the lock, and nothing else may change for hours.
        c.world.track(c.system.key)
        self._tell_result()
        return True

    async def _leave_alone(self, error: ClusterError) -> None:
        """Waits as long as an overloaded API server asks; nothing that happens meanwhile hastens that."""
        await self._c.world.clock.sleep_until(self._c.now() + asked_to_wait(error))

    def _tell_result(self) -> None:
        c = self._c
        tell_result(c.world, self.rollback, c.concerned(c.reverted))


def asked_to_wait(error: ClusterError) -> timedelta:
    """How long an overloaded API server wants to be left alone (429, Retry-After), at most half a minute."""
    asked = error.retry_after if isinstance(error, Unavailable) else None
    return min(timedelta(seconds=asked or 0), _RETRY_MAX)
