"""One step that writes: a Revert or a Restore. Safe to repeat at any point, after any crash or lost answer.

What is to be done follows from where the target is now: at `before` it is patched, at `after` it is waited for, and
anywhere else it is somebody else's newer deploy and left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from model_rollback.api.group import FIELD_MANAGER
from model_rollback.api.reasons import Reason
from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.rollback_record import PinRecord, Procedure, Step
from model_rollback.core.authorship import last_written
from model_rollback.core.kinds import type_of
from model_rollback.core.live import LiveTarget, observe
from model_rollback.core.pins import PinValues, build_patch, show_all
from model_rollback.core.readiness import Readiness
from model_rollback.engine.consumers import Consumers
from model_rollback.engine.targets import ref_of
from model_rollback.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Refused, Unavailable
from model_rollback.ports import Clock, Object, Objects

_REBUILDS = 5


class Outcome(Enum):
    """What the caller does next."""

    CHANGED = "the step has changes to record; call again"
    WAIT = "nothing to do until the target changes or time passes"
    FAILED = "the step failed"
    SUPERSEDED = "a version that nobody judged is live"


@dataclass(frozen=True, slots=True)
class Progress:
    """`changes`: fields of the Step to record. `reason` and `message`: of a failure, a wait or a supersession.
    `look_again`: how long to wait for what no watch tells of, or for as long as the API server asked."""

    outcome: Outcome
    changes: dict[str, Any] | None = None
    reason: Reason = Reason.RUNNING
    message: str = ""
    look_again: timedelta | None = None


def failed(reason: Reason, message: str) -> Progress:
    """The step cannot go on by itself."""
    return Progress(Outcome.FAILED, reason=reason, message=message)


def records(shown: PinValues) -> tuple[PinRecord, ...]:
    """Shown pin values as a step records them."""
    return tuple(PinRecord(pin=pin, value=value) for pin, value in shown.items())


def failure(error: ClusterError) -> Progress:
    """What an error of the API server means for a step; Unavailable is no failure but an unknown outcome."""
    if isinstance(error, Unavailable):
        asked = timedelta(seconds=error.retry_after) if error.retry_after is not None else None
        return Progress(Outcome.WAIT, reason=Reason.API_UNAVAILABLE, message=str(error), look_again=asked)
    if isinstance(error, Forbidden):
        return failed(Reason.FORBIDDEN, str(error))
    if isinstance(error, NotFound):
        return failed(Reason.TARGETS_MISSING, str(error))
    if isinstance(error, Invalid | Refused):
        return failed(Reason.REFUSED, str(error))
    return failed(Reason.CONFLICT, str(error))


@dataclass(slots=True)
class Seen:
    """What was asked a moment ago, so that it need not be asked for each move. By component.

    Every write tests what it was built from: over a target that has changed since it fails, and reads it anew.

    Attributes:
        targets: as they were read, or as the API server answered the last write.
        tried: the patch whose dry run passed, and what the target would be then.
    """

    targets: dict[str, Object] = field(default_factory=dict)
    tried: dict[str, tuple[list[dict[str, Any]], Object]] = field(default_factory=dict)

    def clear(self) -> None:
        """Time has passed."""
        self.targets.clear()
        self.tried.clear()


class StepRunner:
    """Runs the steps of one Rollback on one component's target."""

    def __init__(
        self,
        reader: Objects,
        writer: Objects,
        clock: Clock,
        namespace: str,
        rollback: str,
        epoch: int,
        seen: Seen | None = None,
    ) -> None:
        """`reader`: as the operator. `writer`: as the account that the ModelDeployment names, or the same."""
        self._reader = reader
        self._writer = writer
        self._consumers = Consumers(reader, writer, namespace)
        self._clock = clock
        self._namespace = namespace
        self._rollback = rollback
        self._epoch = epoch
        self._seen = seen or Seen()

    def remember(self, found: Mapping[str, Object]) -> None:
        """Component → its target, as it was read just now."""
        self._seen.targets.update(found)

    async def dry_run(self, component: Component, wanted: PinValues) -> Object:
        """Asks the API server whether it would take the write; what the object would be then.

        Raises:
            ClusterError: it would not, or could not be asked.
            PathError: the target has no such pin.
        """
        try:
            would_be = await self._try(component, wanted)
        except (Invalid, Conflict) as error:
            if isinstance(error, Invalid) and error.causes:
                raise
            # A `test` failed: it is not what was seen any more.
            del self._seen.targets[component.name]
            would_be = await self._try(component, wanted)
        await self._consumers.dry_run(component, self._clock.now(), self._signature("preflight"))
        return would_be

    async def _try(self, component: Component, wanted: PinValues) -> Object:
        ref, seen, name = ref_of(self._namespace, component), self._seen, component.name
        if name not in seen.targets:
            seen.targets[name] = await self._reader.get(ref)
        patch = self._patch(component, seen.targets[name], wanted, "preflight")
        if name not in seen.tried or seen.tried[name][0] != patch:
            seen.tried[name] = (patch, await self._writer.patch_json(ref, patch, dry_run=True))
        return seen.tried[name][1]

    def begin(
        self, step: Step, component: Component, expected: Sequence[PinValues], wanted: PinValues
    ) -> Progress | None:
        """How a step begins, when that can be told from what was seen; None: it is for `advance` to read more."""
        obj = self._seen.targets.get(component.name)
        if obj is None or component.restart:
            return None
        live = observe(component, obj)
        return self._begin(step, live, expected, wanted) if live.pins is not None else None

    async def advance(
        self,
        step: Step,
        component: Component,
        expected: Sequence[PinValues],
        wanted: PinValues,
        procedure: Procedure,
    ) -> Progress:
        """Takes the step one move further.

        Args:
            expected: full values that may stand there before the write; anything else is somebody's newer deploy.
            wanted: full values after it.
        """
        try:
            obj = self._seen.targets.pop(component.name, None)
            if obj is None:
                obj = await self._reader.get(ref_of(self._namespace, component))
            live = observe(component, obj)
            if step.state == "Pending" and live.readiness.ready:
                live = replace(live, readiness=await self._consumers.readiness(component))
        except ClusterError as error:
            return or_timed_out(step, procedure, failure(error), self._clock.now())
        if live.pins is None or live.pins.keys() != wanted.keys():
            return _unfit(component, live, wanted)
        if step.state == "Pending":
            return self._begin(step, live, expected, wanted)
        if dict(live.pins) == show_all(wanted):
            if step.action == "Restore" and not self._signed(step, live):
                progress = await self._sign(step, component, obj, wanted)
                return or_timed_out(step, procedure, progress, self._clock.now())
            wrote_at = last_written(obj, FIELD_MANAGER) if self._signed(step, live) else None
            return await self._arrived(step, component, live, procedure, wrote_at or step.written_at)
        if dict(live.pins) not in [show_all(values) for values in expected]:
            return self._elsewhere(step, component, live)
        if step.written_at is not None:
            return failed(
                Reason.TARGET_CHANGED, f"somebody put the old value back into {component.target_ref.name}"
            )
        progress = await self._write(step, component, obj, expected, wanted)
        return or_timed_out(step, procedure, progress, self._clock.now())

    def _elsewhere(self, step: Step, component: Component, live: LiveTarget) -> Progress:
        if step.written_at is None and self._signed(step, live):
            # The answer was lost, and then somebody deployed over it: the record must say that it was written.
            return Progress(Outcome.CHANGED, {"written_at": self._clock.now()})
        return Progress(Outcome.SUPERSEDED, message=_third_version(component, live))

    def _signed(self, step: Step, live: LiveTarget) -> bool:
        return live.last_write.startswith(f"{self._rollback}/{step.name}/")

    async def _sign(self, step: Step, component: Component, obj: Object, wanted: PinValues) -> Progress:
        """A Restore that finds its target back already still writes its signature.

        A Revert whose answer was lost may be on its way: it tests the signature that it read, and fails on this one.
        Who may not write need not fear it either: the Revert came with the same rights.
        """
        progress = await self._write(step, component, obj, [wanted], wanted)
        if progress.reason is not Reason.FORBIDDEN:
            return progress
        said = "it was there already, not by us"
        return Progress(
            Outcome.CHANGED, {"state": "Skipped", "finished_at": self._clock.now(), "message": said}
        )

    def _begin(
        self, step: Step, live: LiveTarget, expected: Sequence[PinValues], wanted: PinValues
    ) -> Progress:
        at = dict(live.pins or {})
        if at not in [show_all(values) for values in (*expected, wanted)]:
            return Progress(
                Outcome.SUPERSEDED, message=f"{step.component} holds a version that nobody judged"
            )
        changes: dict[str, Any] = {"state": "Running", "started_at": self._clock.now(), "message": ""}
        if not step.before:
            changes |= {
                "before": records(show_all(expected[0])),
                "after": records(show_all(wanted)),
                "was_ready": live.readiness.ready,
            }
        return Progress(Outcome.CHANGED, changes)

    async def _arrived(
        self,
        step: Step,
        component: Component,
        live: LiveTarget,
        procedure: Procedure,
        wrote_at: datetime | None,
    ) -> Progress:
        ours = self._signed(step, live)
        now = self._clock.now()
        if not ours and step.written_at is None:
            changes = {"state": "Skipped", "finished_at": now, "message": "it was there already, not by us"}
            return Progress(Outcome.CHANGED, changes)
        if step.written_at is None:
            return Progress(Outcome.CHANGED, {"written_at": now})
        if component.restart and live.readiness.ready:
            try:
                restarted = await self._consumers.restarted(
                    component, step.written_at, self._signature(step.name)
                )
            except ClusterError as error:
                return or_timed_out(step, procedure, failure(error), self._clock.now())
            live = replace(live, readiness=restarted)
        if live.readiness.ready or (step.action == "Restore" and step.was_ready is False):
            return Progress(Outcome.CHANGED, {"state": "Succeeded", "finished_at": now, "message": ""})
        if live.readiness.failed and _speaks_of(live.readiness, wrote_at):
            return failed(Reason.PROGRESS_DEADLINE_EXCEEDED, f"{step.component}: {live.readiness.message}")
        waiting = Progress(Outcome.WAIT, message=f"{step.component}: {live.readiness.message}")
        return or_timed_out(step, procedure, waiting, now)

    async def _write(
        self,
        step: Step,
        component: Component,
        obj: Object,
        expected: Sequence[PinValues],
        wanted: PinValues,
    ) -> Progress:
        ref = ref_of(self._namespace, component)
        for _ in range(_REBUILDS):
            try:
                await self._writer.patch_json(ref, self._patch(component, obj, wanted, step.name))
            except (Invalid, Conflict) as error:
                if isinstance(error, Invalid) and error.causes:
                    return failed(Reason.REFUSED, str(error))
            except ClusterError as error:
                return failure(error)
            else:
                return Progress(Outcome.CHANGED, {"written_at": self._clock.now()})
            # A `test` failed: something moved between read and write. Only the same old version is tried again.
            try:
                obj = await self._reader.get(ref)
            except ClusterError as error:
                return failure(error)
            live = observe(component, obj)
            if live.pins is None or dict(live.pins) not in [show_all(values) for values in expected]:
                return Progress(
                    Outcome.WAIT, reason=Reason.TARGET_CHANGED, message=f"{ref} changed while it was patched"
                )
        return failed(Reason.CONFLICT, f"{ref} changed {_REBUILDS} times while it was to be patched")

    def _patch(self, component: Component, obj: Object, wanted: PinValues, step: str) -> list[dict[str, Any]]:
        return build_patch(type_of(component), obj, wanted, self._signature(step))

    def _signature(self, step: str) -> str:
        return f"{self._rollback}/{step}/{self._epoch}"


def or_timed_out(step: Step, procedure: Procedure, progress: Progress, now: datetime) -> Progress:
    """A wait that has lasted longer than the step may is a failure."""
    if progress.outcome is not Outcome.WAIT or step.started_at is None:
        return progress
    deadline: datetime = step.started_at + (step.timeout or procedure.step_timeout)
    if now < deadline:
        return progress
    reason = progress.reason if progress.reason is Reason.API_UNAVAILABLE else Reason.STEP_TIMED_OUT
    return failed(
        reason,
        f"not done within {format_duration(step.timeout or procedure.step_timeout)}: {progress.message}",
    )


def _speaks_of(readiness: Readiness, wrote_at: datetime | None) -> bool:
    """The controller keeps an old verdict until replicas move: only one that came after our write counts.

    That is told by the API server's clock: this process may hear of its own write after the controller has judged it.
    """
    if readiness.failed_at is None or wrote_at is None:
        return True
    return readiness.failed_at >= wrote_at.replace(microsecond=0)


def _unfit(component: Component, live: LiveTarget, wanted: PinValues) -> Progress:
    if live.pins is None:
        return failed(Reason.TARGETS_MISSING, live.problem)
    now, then = ", ".join(live.pins), ", ".join(wanted)
    said = f"{component.name} has the pins {now} now, and the plan was made for {then}"
    return failed(Reason.INVALID_SPEC, f"the ModelDeployment was edited: {said}")


def _third_version(component: Component, live: LiveTarget) -> str:
    shown = ", ".join(f"{pin} {value}" for pin, value in (live.pins or {}).items())
    return f"{component.name} now holds {shown}, a newer deploy that is not this Rollback's to undo"
