"""One Rollback from request to result: look where it is, make one move, record it, look again.

The order of writes makes it crash-safe: plan before anything, a step Running with `before` and `after` before its
patch, the result before the lock is cleared. A process that dies anywhere is followed by one that looks where it is.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from model_rollback import telemetry
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1 import RollbackStatus
from model_rollback.api.v1alpha1.model_deployment import Component
from model_rollback.api.v1alpha1.rollback import Procedure, Step
from model_rollback.core import machine
from model_rollback.core.machine import Phase, phase_of
from model_rollback.core.paths import PathError
from model_rollback.core.pins import PinValues, Values
from model_rollback.engine import lock, planning, revisions
from model_rollback.engine.announcer import Announcer
from model_rollback.engine.held import named, write_status
from model_rollback.engine.steps import Outcome, Progress, StepRunner, failure
from model_rollback.engine.store import Key, PolicyEntry, RollbackEntry, Store, SystemEntry
from model_rollback.engine.targets import ref_of
from model_rollback.engine.validation import Validator
from model_rollback.engine.wakeups import wait_until
from model_rollback.errors import ClusterError, NotFound, Unavailable
from model_rollback.ports import Clock, HttpProbes, MetricsSource, Objects

log = structlog.get_logger(__name__)

_RETRY = timedelta(seconds=2)
_RETRY_MAX = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class World:
    """What a run needs of the engine."""

    store: Store
    objects: Objects
    clock: Clock
    sources: Mapping[str, MetricsSource]
    http: HttpProbes
    announcer: Announcer
    look_at_targets: Callable[[Key], Awaitable[None]]
    epoch: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing to do before `until`, or before something changes."""

    until: datetime | None = None


class RollbackRun:
    """The one task that moves one Rollback. `woken` is set when its object, its system or a target changed."""

    def __init__(self, world: World, system: SystemEntry, rollback: RollbackEntry) -> None:
        self._world = world
        self._system = system
        self.rollback = rollback
        self._steps = StepRunner(
            world.objects, world.clock, system.ref.namespace, rollback.ref.name, world.epoch
        )
        self._validator: Validator | None = None
        self._values: dict[str, Values] = {}
        self._next_round: datetime | None = None
        self.woken = asyncio.Event()

    @property
    def name(self) -> str:
        """The Rollback's name."""
        return self.rollback.ref.name

    @property
    def status(self) -> RollbackStatus:
        """The Rollback's status as last written."""
        return self.rollback.status

    def offer(self, body: Mapping[str, Any]) -> None:
        """A newer state of the Rollback object was seen."""
        if self.rollback.adopt(body):
            self.woken.set()

    async def run(self) -> None:
        """Until the lock is cleared. Errors of the API server are waited out.

        Raises:
            NotFound: the Rollback object was deleted; the caller clears the lock.
        """
        delay = _RETRY
        while True:
            self.woken.clear()
            try:
                pause = await self._move()
                delay = _RETRY
            except NotFound:
                raise
            except ClusterError as error:
                log.warning(
                    "rollback waits for the API server", rollback=str(self.rollback.ref), error=str(error)
                )
                pause = Pause(self._now() + delay)
                delay = min(2 * delay, _RETRY_MAX)
            if phase_of(self.status) is Phase.FINISHED and await self._released():
                return
            if pause is not None:
                await wait_until(self._world.clock, self.woken, pause.until)

    async def _move(self) -> Pause | None:
        phase = phase_of(self.status)
        if phase is not Phase.FINISHED and await self._heed_intent():
            return None
        match phase:
            case Phase.REQUESTED:
                return await self._plan()
            case Phase.PREFLIGHT:
                return await self._preflight()
            case Phase.REVERTING:
                return await self._revert()
            case Phase.VALIDATING:
                return await self._validate()
            case Phase.RESTORING:
                return await self._restore()
            case Phase.HALTED | Phase.FINISHED:
                return Pause()

    # --- plan and preflight ------------------------------------------------------------------------------------

    async def _plan(self) -> Pause | None:
        policy = self._policy()
        made = await planning.make(self._world.objects, self._system, self.rollback, policy, now=self._now())
        if made.superseded:
            await self._write(lambda s: machine.superseded(s, made.superseded, at=self._now()))
        elif made.abandoned:
            await self._write(lambda s: machine.abandon(s, made.abandoned, at=self._now()))
        else:
            await self._write(lambda s: machine.planned(s, made.fields, at=self._now()))
            self._tell(
                Reason.ROLLBACK_STARTED, f"{self._from_to()}: {self.rollback.spec.reason}", warning=True
            )
        return None

    async def _preflight(self) -> Pause | None:
        for step in self._of("Revert"):
            component = self._component(step)
            if component is None:
                return await self._abandon(f"component {step.component} was removed from the ModelDeployment")
            try:
                wanted = (await self._load(self.status.to_revision))[step.component]
                await self._steps.dry_run(component, wanted)
            except PathError as error:
                return await self._preflight_waits(Reason.TARGETS_MISSING, str(error))
            except Unavailable:
                raise
            except ClusterError as error:
                failed = failure(error)
                return await self._preflight_waits(failed.reason, failed.message)
        await self._write(lambda s: machine.preflight_passed(s, at=self._now()))
        return None

    async def _preflight_waits(self, reason: Reason, message: str) -> Pause | None:
        moved = await self._moved_on()
        if moved:
            await self._write(lambda s: machine.superseded(s, moved, at=self._now()))
            return None
        started = self.status.timeline.detected_at or self._now()
        if self._now() - started > self._procedure.step_timeout:
            await self._halt("", reason, f"the dry run was refused: {message}")
            return None
        await self._write(
            lambda s: machine.preflight_waits(
                s, reason, f"the dry run is refused, nothing is written: {message}", at=self._now()
            )
        )
        return Pause(self._now() + _RETRY)

    async def _moved_on(self) -> str:
        """Non-empty when another version than the one judged is live."""
        digest = await planning.live_digest(self._world.objects, self._system)
        if digest is None or digest == self.rollback.spec.from_digest:
            return ""
        return "another version was deployed before anything was written"

    # --- revert and restore ------------------------------------------------------------------------------------

    async def _revert(self) -> Pause | None:
        await self._quarantine()
        step = next(s for s in self._of("Revert") if s.state not in ("Succeeded", "Skipped"))
        return await self._advance(step, self.status.from_revision, self.status.to_revision)

    async def _restore(self) -> Pause | None:
        await lock.release_quarantine(self._world.objects, self._system, self.rollback.ref.name)
        step = next((s for s in self._of("Restore") if s.state not in ("Succeeded", "Skipped")), None)
        if step is None:
            await self._write(lambda s: machine.restored(s, at=self._now()))
            return None
        return await self._advance(step, self.status.to_revision, self.status.from_revision)

    async def _advance(self, step: Step, expected_in: str, wanted_in: str) -> Pause | None:
        component = self._component(step)
        if component is None:
            await self._fail(step, Reason.TARGETS_MISSING, f"component {step.component} was removed")
            return None
        try:
            expected = (await self._load(expected_in))[step.component]
            wanted = (await self._load(wanted_in))[step.component]
        except NotFound as error:
            await self._fail(step, Reason.TARGETS_MISSING, f"the kept values are gone: {error}")
            return None
        progress = await self._steps.advance(step, component, expected, wanted, self._procedure)
        return await self._record(step, progress)

    async def _record(self, step: Step, progress: Progress) -> Pause | None:
        if progress.outcome is Outcome.WAIT:
            deadline = step.started_at + self._procedure.step_timeout if step.started_at else None
            retry = self._now() + _RETRY if progress.reason is not Reason.RUNNING else deadline
            return Pause(min(x for x in (deadline, retry) if x is not None))
        if progress.outcome is Outcome.SUPERSEDED:
            await self._write(lambda s: machine.superseded(s, progress.message, at=self._now()))
            return None
        if progress.outcome is Outcome.FAILED:
            await self._fail(step, progress.reason, progress.message)
            return None
        changes = progress.changes or {}
        await self._write(lambda s: machine.change_step(s, step.name, at=self._now(), **changes))
        if changes.get("state") == "Succeeded":
            await self._tell_reverted(step)
        if phase_of(self.status) is Phase.VALIDATING and all(
            s.state == "Skipped" for s in self._of("Revert")
        ):
            message = f"everything was at {self.status.to_version} already, not by this Rollback"
            await self._write(lambda s: machine.superseded(s, message, at=self._now()))
        return None

    async def _tell_reverted(self, step: Step) -> None:
        word = "restored" if step.action == "Restore" else f"is back at {self.status.to_version} and ready"
        self._tell(
            Reason.COMPONENT_REVERTED, f"{step.component} {word}", also=[self._workload(step.component)]
        )

    async def _fail(self, step: Step, reason: Reason, message: str) -> None:
        if self._procedure.on_failure == "Restore" and step.action == "Revert":
            await self._write(lambda s: machine.begin_restore(s, "Failed", message, at=self._now()))
            return
        await self._halt(step.name, reason, message)

    async def _halt(self, step: str, reason: Reason, message: str) -> None:
        await self._write(lambda s: machine.halt(s, step, reason, message, at=self._now()))
        telemetry.HALTED.inc()
        self._tell(Reason.ROLLBACK_HALTED, f"halted at {step or 'preflight'}: {message}", warning=True)

    # --- validation --------------------------------------------------------------------------------------------

    async def _validate(self) -> Pause | None:
        step = next(s for s in self.status.steps if s.action == "Validate")
        if step.state == "Pending":
            began = {"state": "Running", "started_at": self._now()}
            await self._write(lambda s: machine.change_step(s, step.name, at=self._now(), **began))
            self._validator = None
            return None
        if self._validator is None:
            self._validator = Validator(
                self._system.ref.namespace,
                self.status.to_version,
                self._procedure,
                self._world.sources,
                self._world.http,
            )
            self._next_round = (step.started_at or self._now()) + self._procedure.settle
            if self.status.passing_since is not None:
                # Nobody looked while this process was away: the time that counts begins anew.
                await self._write(lambda s: machine.probed(s, passing_since=None))
        superseded = self._third_version()
        if superseded:
            await self._write(lambda s: machine.superseded(s, superseded, at=self._now()))
            return None
        if self._next_round is not None and self._now() < self._next_round:
            return Pause(self._next_round)
        return await self._round(step, self._validator)

    def _third_version(self) -> str:
        """A component that holds neither what was put back nor what was judged bad is somebody's newer deploy."""
        for step in self._of("Revert"):
            live = self._system.live.get(step.component)
            known = ({r.pin: r.value for r in step.after}, {r.pin: r.value for r in step.before})
            if live is not None and live.pins is not None and dict(live.pins) not in known:
                return f"{step.component} was deployed anew during validation"
        return ""

    async def _round(self, step: Step, validator: Validator) -> Pause | None:
        now = self._now()
        answers = await validator.ask_all(
            self._system.targets, self.status.steps, self.status.validation, now=now
        )
        self._next_round = now + self._procedure.interval
        passed = all(a.state == "Passed" for a in answers)
        since = (self.status.passing_since or now) if passed else None
        await self._write(lambda s: machine.probed(s, validation=answers, passing_since=since))
        broken = [a for a in answers if a.state == "Failed"]
        if broken:
            words = "; ".join(f"{a.probe}: {a.message}" for a in broken)
            self._tell(Reason.VALIDATION_FAILED, words, warning=True)
            await self._halt(step.name, Reason.VALIDATION_FAILED, words)
            return None
        if since is not None and now - since >= self._procedure.duration:
            await self._write(lambda s: machine.validated(s, at=now))
            self._tell(Reason.VALIDATION_PASSED, f"{len(answers)} probes passed since {since:%H:%M:%S} UTC")
            return None
        p = self._procedure
        if not passed and now - (step.started_at or now) > p.settle + p.duration + p.step_timeout:
            words = "; ".join(f"{a.probe}: {a.message}" for a in answers if a.state == "Unknown")
            await self._halt(step.name, Reason.VALIDATION_UNKNOWN, f"could not be validated: {words}")
            return None
        return Pause(self._next_round)

    # --- intents, quarantine, end ------------------------------------------------------------------------------

    async def _heed_intent(self) -> bool:
        spec = self.rollback.spec
        wanted = machine.new_intent(spec.intent, spec.intent_at, self.status)
        if wanted is None:
            return False
        halted = phase_of(self.status) is Phase.HALTED

        def heed(status: RollbackStatus) -> RollbackStatus:
            status = machine.handled(status, spec.intent, spec.intent_at)
            at = self._now()
            if wanted == "Resume" and phase_of(status) is Phase.HALTED:
                return machine.resume(status, at=at)
            if wanted != "Abort" or phase_of(status) is Phase.RESTORING:
                return status
            if spec.on_abort == "Leave" or phase_of(status) is Phase.REQUESTED:
                return machine.abandon(status, "a person said Abort and Leave.", at=at)
            return machine.begin_restore(status, "Aborted", "a person said Abort", at=at)

        await self._write(heed)
        if halted and phase_of(self.status) is not Phase.HALTED:
            telemetry.HALTED.dec()
            self._validator = None
            if wanted == "Resume":
                self._tell(Reason.ROLLBACK_RESUMED, "a person said Resume: the step is repeated")
        return True

    async def _quarantine(self) -> None:
        rollback = self.rollback
        until = self._now() + self._procedure.quarantine
        added = await lock.quarantine(self._world.objects, self._system, rollback, until=until)
        if added:
            self._tell(
                Reason.VERSION_QUARANTINED,
                f"{rollback.spec.from_version} is no rollback target until {until:%Y-%m-%d %H:%M} UTC",
            )

    async def _released(self) -> bool:
        """Marks the breach as answered, then clears the lock. False: try again later."""
        finished_at = self.status.timeline.finished_at or self._now()
        policy = self._policy()
        try:
            if policy is not None:
                with contextlib.suppress(NotFound):
                    await lock.close_policy(
                        self._world.objects, policy, self.rollback, finished_at=finished_at
                    )
            await self._world.look_at_targets((self._system.ref.namespace, self._system.ref.name))
            with contextlib.suppress(NotFound):
                await lock.release(self._world.objects, self._system, self.rollback, finished_at=finished_at)
        except ClusterError as error:
            log.warning("lock could not be cleared yet", rollback=self.name, error=str(error))
            await wait_until(self._world.clock, self.woken, self._now() + _RETRY)
            return False
        self._tell_result()
        return True

    def _tell_result(self) -> None:
        result = self.status.result
        if not result:
            return
        complete = next(c for c in self.status.conditions if c.type == "Complete")
        telemetry.ROLLBACKS.labels(result).inc()
        self._tell(
            machine.result_reason(result),
            f"{self._from_to()}: {complete.message}",
            warning=result != "Succeeded",
            also=[self._workload(s.component) for s in self._of("Revert")],
        )

    # --- small things ------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return self._world.clock.now()

    @property
    def _procedure(self) -> Procedure:
        if self.status.procedure is None:
            raise RuntimeError(f"{self.rollback.ref} has no procedure while {phase_of(self.status)}")
        return self.status.procedure

    def _of(self, action: str) -> list[Step]:
        return [s for s in self.status.steps if s.action == action]

    def _component(self, step: Step) -> Component | None:
        components: Sequence[Component] = self._system.spec.components if self._system.spec else []
        return next((c for c in components if c.name == step.component), None)

    async def _load(self, revision: str) -> Mapping[str, PinValues]:
        if revision not in self._values:
            self._values[revision] = await revisions.load(
                self._world.objects, self._system.ref.namespace, revision
            )
        return self._values[revision]

    async def _write(self, change: machine.Change) -> None:
        await write_status(self._world.objects, self.rollback, change)

    async def _abandon(self, message: str) -> Pause | None:
        await self._write(lambda s: machine.abandon(s, message, at=self._now()))
        return None

    def _from_to(self) -> str:
        return f"{self.rollback.spec.from_version} → {self.rollback.spec.target_version}"

    def _workload(self, component: str) -> dict[str, Any]:
        live = self._system.live.get(component)
        found = next(
            c for c in (self._system.spec.components if self._system.spec else []) if c.name == component
        )
        return named(ref_of(self._system.ref.namespace, found), live.uid if live is not None else "")

    def _policy(self) -> PolicyEntry | None:
        return self._world.store.policies.get(
            (self.rollback.ref.namespace, self.rollback.spec.policy_ref.name)
        )

    def _tell(
        self, reason: Reason, message: str, *, warning: bool = False, also: Sequence[dict[str, Any]] = ()
    ) -> None:
        policy = self._policy()
        regarding = [self.rollback.regarding, self._system.regarding]
        if policy is not None:
            regarding.append(policy.regarding)
        self._world.announcer.tell(reason, message, [*regarding, *also], warning=warning)
