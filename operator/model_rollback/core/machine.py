"""The life of a Rollback as one table.

A Rollback's phase is not stored; it follows from its status (`phase_of`). Every change of a status goes through one
of the functions below, and each of them checks the table twice: that its cause is legal in the phase before, and that
the phase after is one that the table allows. An illegal transition raises and changes nothing. The diagram in the docs
is generated from `TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from model_rollback.api.conditions import condition, is_true, merge_conditions
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback import Intent, Result, RollbackStatus, Step
from model_rollback.core.outcome import OUTCOMES


class Phase(StrEnum):
    """Where a Rollback is."""

    REQUESTED = "Requested"
    PREFLIGHT = "Preflight"
    REVERTING = "Reverting"
    VALIDATING = "Validating"
    RESTORING = "Restoring"
    HALTED = "Halted"
    FINISHED = "Finished"


class Cause(StrEnum):
    """What moves it."""

    PLANNED = "plan recorded"
    PREFLIGHT_WAITS = "preflight cannot be asked"
    PREFLIGHT_PASSED = "every patch passed its dry run"
    STEP_CHANGED = "a step moves on"
    PROBED = "probes answered"
    VALIDATED = "all probes passed for long enough"
    HALT = "a step failed"
    RESUME = "a person says Resume"
    RESTORE = "Abort, or onFailure: Restore"
    RESTORED = "everything is back as it was"
    SUPERSEDED = "somebody deployed another version"
    ABANDONED = "Abort with onAbort: Leave, or the ModelDeployment is gone"


Change = Callable[[RollbackStatus], RollbackStatus]

_ANY_ACTIVE: Final = (Phase.REQUESTED, Phase.PREFLIGHT, Phase.REVERTING, Phase.VALIDATING, Phase.RESTORING)

TRANSITIONS: Final[Mapping[tuple[Phase, Cause], frozenset[Phase]]] = {
    (Phase.REQUESTED, Cause.PLANNED): frozenset({Phase.PREFLIGHT}),
    (Phase.PREFLIGHT, Cause.PREFLIGHT_WAITS): frozenset({Phase.PREFLIGHT}),
    (Phase.PREFLIGHT, Cause.PREFLIGHT_PASSED): frozenset({Phase.REVERTING}),
    (Phase.REVERTING, Cause.STEP_CHANGED): frozenset({Phase.REVERTING, Phase.VALIDATING, Phase.FINISHED}),
    (Phase.VALIDATING, Cause.STEP_CHANGED): frozenset({Phase.VALIDATING}),
    (Phase.VALIDATING, Cause.PROBED): frozenset({Phase.VALIDATING}),
    (Phase.VALIDATING, Cause.VALIDATED): frozenset({Phase.FINISHED}),
    (Phase.RESTORING, Cause.STEP_CHANGED): frozenset({Phase.RESTORING}),
    (Phase.RESTORING, Cause.RESTORED): frozenset({Phase.FINISHED}),
    (Phase.HALTED, Cause.RESUME): frozenset(
        {Phase.PREFLIGHT, Phase.REVERTING, Phase.VALIDATING, Phase.RESTORING}
    ),
    **{
        (phase, Cause.HALT): frozenset({Phase.HALTED})
        for phase in (Phase.PREFLIGHT, Phase.REVERTING, Phase.VALIDATING, Phase.RESTORING)
    },
    **{
        (phase, Cause.RESTORE): frozenset({Phase.RESTORING})
        for phase in (Phase.PREFLIGHT, Phase.REVERTING, Phase.VALIDATING, Phase.HALTED)
    },
    **{(phase, Cause.SUPERSEDED): frozenset({Phase.FINISHED}) for phase in _ANY_ACTIVE},
    **{(phase, Cause.ABANDONED): frozenset({Phase.FINISHED}) for phase in (*_ANY_ACTIVE, Phase.HALTED)},
}


class IllegalTransition(RuntimeError):
    """A programming error: the cause is not legal in this phase, or led somewhere the table does not allow."""


def phase_of(status: RollbackStatus) -> Phase:
    """Where a Rollback with this status is. Total."""
    if status.result:
        return Phase.FINISHED
    if is_true(status.conditions, "Halted"):
        return Phase.HALTED
    if status.restoring:
        return Phase.RESTORING
    if status.procedure is None:
        return Phase.REQUESTED
    if not is_true(status.conditions, "Planned"):
        return Phase.PREFLIGHT
    if any(s.action == "Revert" and s.state in ("Pending", "Running", "Failed") for s in status.steps):
        return Phase.REVERTING
    return Phase.VALIDATING


def _move(status: RollbackStatus, cause: Cause, change: Callable[[], RollbackStatus]) -> RollbackStatus:
    before = phase_of(status)
    allowed = TRANSITIONS.get((before, cause))
    if allowed is None:
        raise IllegalTransition(f"{cause!r} is not legal while {before}")
    after = change()
    if phase_of(after) not in allowed:
        raise IllegalTransition(f"{cause!r} led from {before} to {phase_of(after)}")
    return after


def _update(status: RollbackStatus, **changes: Any) -> RollbackStatus:
    updated = status.model_copy(update=changes)
    return updated.model_copy(update={"current_step": describe_current(updated)})


def describe_current(status: RollbackStatus) -> str:
    """The STEP column: the running step, or where it halted; empty when finished."""
    if status.result:
        return ""
    steps = [s for s in status.steps if s.action == "Restore" or not status.restoring]
    failed = next((s for s in reversed(steps) if s.state == "Failed"), None)
    if is_true(status.conditions, "Halted"):
        return f"halted: {failed.name}" if failed else "halted: preflight"
    running = next((s for s in steps if s.state == "Running"), None)
    if running is not None:
        return running.name
    if status.procedure is not None and not is_true(status.conditions, "Planned"):
        return "preflight"
    return next((s.name for s in steps if s.state == "Pending"), "")


def _say(
    status: RollbackStatus, type_: str, verdict: bool | None, reason: Reason, message: str, at: datetime
) -> RollbackStatus:
    said = condition(
        type_, status=verdict, reason=reason, message=message, at=at, generation=status.observed_generation
    )
    return status.model_copy(update={"conditions": merge_conditions(status.conditions, [said])})


def planned(status: RollbackStatus, plan: Mapping[str, Any], *, at: datetime) -> RollbackStatus:
    """Records the plan; `plan` holds the status fields that planning fills. Written before anything else is."""

    def change() -> RollbackStatus:
        said = status.model_copy(update=dict(plan))
        said = _say(said, "Planned", None, Reason.RUNNING, "the plan's dry run is under way", at)
        for type_ in ("Reverted", "Validated", "Complete"):
            said = _say(said, type_, False, Reason.PENDING, "", at)
        return _update(said)

    return _move(status, Cause.PLANNED, change)


def preflight_waits(status: RollbackStatus, reason: Reason, message: str, *, at: datetime) -> RollbackStatus:
    """The dry run could not be passed yet; nothing is written to any target and it is asked again."""
    return _move(
        status, Cause.PREFLIGHT_WAITS, lambda: _update(_say(status, "Planned", False, reason, message, at))
    )


def preflight_passed(status: RollbackStatus, *, at: datetime) -> RollbackStatus:
    """Every patch passed its dry run under the identity that will write."""
    names = ", ".join(s.name for s in status.steps if s.action == "Revert")
    return _move(
        status,
        Cause.PREFLIGHT_PASSED,
        lambda: _update(
            _say(status, "Planned", True, Reason.PLANNED, f"every patch passed its dry run: {names}", at)
        ),
    )


def change_step(status: RollbackStatus, name: str, *, at: datetime, **changes: Any) -> RollbackStatus:
    """Changes one step. The last Revert that is done sets `Reverted` and the timeline.

    Where every Revert was skipped, nothing was done by this Rollback and it ends as Superseded, in the same write.
    """

    def change() -> RollbackStatus:
        steps = tuple(s.model_copy(update=changes) if s.name == name else s for s in status.steps)
        updated = status.model_copy(update={"steps": steps})
        if phase_of(status) is Phase.REVERTING and _all_skipped(updated):
            message = f"everything was at {status.to_version} already, not by this Rollback"
            return _finish(updated, "Superseded", message, at)
        written_at = changes.get("written_at")
        if written_at is not None and updated.timeline.first_write_at is None:
            timeline = updated.timeline.model_copy(update={"first_write_at": written_at})
            updated = updated.model_copy(update={"timeline": timeline})
        if phase_of(status) is Phase.REVERTING and phase_of(updated) is Phase.VALIDATING:
            timeline = updated.timeline.model_copy(update={"reverted_at": at})
            updated = updated.model_copy(update={"timeline": timeline})
            message = f"every component is at {status.to_version} and ready"
            updated = _say(updated, "Reverted", True, Reason.COMPONENT_REVERTED, message, at)
        return _update(updated)

    return _move(status, Cause.STEP_CHANGED, change)


def _all_skipped(status: RollbackStatus) -> bool:
    return all(s.state == "Skipped" for s in status.steps if s.action == "Revert")


def probed(status: RollbackStatus, **changes: Any) -> RollbackStatus:
    """Records the probes' answers: `validation` and `passing_since`."""
    return _move(status, Cause.PROBED, lambda: _update(status, **changes))


def validated(status: RollbackStatus, *, at: datetime) -> RollbackStatus:
    """All probes passed for the whole duration: the only way to Succeeded."""

    def change() -> RollbackStatus:
        steps = tuple(
            s.model_copy(update={"state": "Succeeded", "finished_at": at}) if s.action == "Validate" else s
            for s in status.steps
        )
        timeline = status.timeline.model_copy(update={"validated_at": at})
        updated = status.model_copy(update={"steps": steps, "timeline": timeline})
        message = (
            f"every probe passed since {status.passing_since:%H:%M:%S} UTC" if status.passing_since else ""
        )
        updated = _say(updated, "Validated", True, Reason.VALIDATION_PASSED, message, at)
        return _finish(updated, "Succeeded", f"{status.to_version} is back and validated", at)

    return _move(status, Cause.VALIDATED, change)


def halt(status: RollbackStatus, step: str, reason: Reason, message: str, *, at: datetime) -> RollbackStatus:
    """Stops and keeps the lock. `step` empty: in preflight, when nothing was written."""

    def change() -> RollbackStatus:
        steps = tuple(
            s.model_copy(update={"state": "Failed", "message": message[:1024]}) if s.name == step else s
            for s in status.steps
        )
        updated = status.model_copy(update={"steps": steps})
        if reason is Reason.VALIDATION_FAILED:
            updated = _say(updated, "Validated", False, reason, message, at)
        return _update(
            _say(updated, "Halted", True, reason, f"{_with_half(message, updated)} {_WAY_OUT}", at)
        )

    return _move(status, Cause.HALT, change)


_WAY_OUT: Final = "A person must say Resume (the step is repeated) or Abort."


_DONE: Final = ("Succeeded", "Skipped")


def half(status: RollbackStatus) -> str:
    """Where each component stands, in words: nothing is left half done without being said."""
    reverts = [s for s in status.steps if s.action == "Revert"]
    back = [s.component for s in status.steps if s.action == "Restore" and s.state in _DONE]
    done = [s.component for s in reverts if s.state in _DONE and s.component not in back]
    untouched = [s.component for s in reverts if s.written_at is None and s.component not in (*done, *back)]
    begun = [s.component for s in reverts if s.component not in (*done, *back, *untouched)]
    places = (("Reverted", done), ("Half done", begun), ("Put back", back), ("Not touched", untouched))
    return " ".join(f"{word}: {', '.join(names)}." for word, names in places if names)


def _with_half(message: str, status: RollbackStatus) -> str:
    return f"{message.rstrip('.')}. {half(status)}".strip()


def resume(status: RollbackStatus, *, at: datetime) -> RollbackStatus:
    """Repeats the failed step with a fresh time-out; validation settles and begins anew."""

    def change() -> RollbackStatus:
        fresh = {"state": "Pending", "started_at": None, "written_at": None, "message": ""}
        # While restoring, the Revert that failed has had its turn: the Restore that failed is repeated.
        repeated = ("Restore",) if status.restoring else ("Revert", "Validate")
        steps = tuple(
            s.model_copy(update=fresh) if s.state == "Failed" and s.action in repeated else s
            for s in status.steps
        )
        updated = status.model_copy(update={"steps": steps, "passing_since": None, "validation": ()})
        return _update(_say(updated, "Halted", False, Reason.ROLLBACK_RESUMED, "a person said Resume", at))

    return _move(status, Cause.RESUME, change)


def begin_restore(status: RollbackStatus, ends_in: Result, message: str, *, at: datetime) -> RollbackStatus:
    """Plans to put back what was done, in reverse order. `ends_in`: Aborted or Failed.

    A restore that halted goes on with the steps that it has.
    """

    def change() -> RollbackStatus:
        if status.restoring:
            again = {"state": "Pending", "started_at": None, "message": ""}
            steps = tuple(
                s.model_copy(update=again) if s.action == "Restore" and s.state == "Failed" else s
                for s in status.steps
            )
        else:
            settled = (
                s.model_copy(update={"state": "Failed"}) if s.state == "Running" else s for s in status.steps
            )
            steps = (*settled, *_restores(status))
        updated = status.model_copy(update={"steps": steps, "restoring": ends_in})
        reason = OUTCOMES[ends_in].reason
        updated = _say(updated, "Reverted", False, reason, f"being put back as before: {message}", at)
        return _update(_say(updated, "Halted", False, Reason.RUNNING, f"restoring: {message}", at))

    return _move(status, Cause.RESTORE, change)


def _restores(status: RollbackStatus) -> tuple[Step, ...]:
    touched = [s for s in status.steps if s.action == "Revert" and s.before and s.state != "Skipped"]
    return tuple(
        Step(
            name=f"restore-{s.component}",
            action="Restore",
            component=s.component,
            before=s.after,
            after=s.before,
            was_ready=s.was_ready,
        )
        for s in reversed(touched)
    )


def restored(status: RollbackStatus, *, at: datetime) -> RollbackStatus:
    """Everything touched is back as it was before the rollback."""

    def change() -> RollbackStatus:
        restores = [s for s in status.steps if s.action == "Restore"]
        left = [s.name for s in restores if s.state not in _DONE]
        if left:
            raise IllegalTransition(f"{', '.join(left)} must be done before everything is back")
        back = {s.component for s in restores}
        steps = tuple(
            s.model_copy(update={"state": "Restored"}) if s.action == "Revert" and s.component in back else s
            for s in status.steps
        )
        ends_in: Result = "Failed" if status.restoring == "Failed" else "Aborted"
        updated = status.model_copy(update={"steps": steps})
        return _finish(
            updated, ends_in, f"put back as before: {', '.join(sorted(back)) or 'nothing was touched'}", at
        )

    return _move(status, Cause.RESTORED, change)


def superseded(status: RollbackStatus, message: str, *, at: datetime) -> RollbackStatus:
    """A version that nobody judged is live: not ours to undo. What was reverted before stays so, and is said."""
    touched = any(s.written_at is not None for s in status.steps)
    said = _with_half(message, status) if touched else message
    return _move(status, Cause.SUPERSEDED, lambda: _finish(status, "Superseded", said, at))


def abandon(status: RollbackStatus, message: str, *, at: datetime) -> RollbackStatus:
    """Ends as Aborted and leaves every target as it is."""
    return _move(status, Cause.ABANDONED, lambda: _finish(status, "Aborted", _with_half(message, status), at))


def _finish(status: RollbackStatus, result: Result, message: str, at: datetime) -> RollbackStatus:
    updated = status.model_copy(
        update={"result": result, "timeline": status.timeline.model_copy(update={"finished_at": at})}
    )
    reason = OUTCOMES[result].reason
    if is_true(updated.conditions, "Halted"):
        updated = _say(updated, "Halted", False, reason, "", at)
    return _update(_say(updated, "Complete", True, reason, message, at))


def new_intent(intent: Intent, intent_at: datetime | None, status: RollbackStatus) -> Intent | None:
    """The request a person makes now, or None when it is the one already handled."""
    if (intent, intent_at) == (status.handled_intent, status.handled_intent_at):
        return None
    return intent


def handled(status: RollbackStatus, intent: Intent, intent_at: datetime | None) -> RollbackStatus:
    """Notes that the request was acted upon or refused; it is no transition."""
    return status.model_copy(update={"handled_intent": intent, "handled_intent_at": intent_at})
