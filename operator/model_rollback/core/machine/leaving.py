"""Off the way: halted and resumed, put back as it was, undone, superseded, abandoned."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import RestoredAs, RollbackStatus, Step
from model_rollback.core.machine.table import WORK, Cause, IllegalTransition, move
from model_rollback.core.machine.words import (
    DONE,
    attempt_of,
    finish,
    half,
    reverts_of,
    say,
    update,
    with_half,
)
from model_rollback.core.outcome import OUTCOMES

_WAY_OUT: Final = "A person must say Resume (the step is repeated) or Abort."


def halt(status: RollbackStatus, step: str, reason: Reason, message: str, *, at: datetime) -> RollbackStatus:
    """Stops and keeps the lock. `step` empty: in preflight, when nothing was written to this target."""

    def change() -> RollbackStatus:
        failed = {"state": "Failed", "reason": reason, "message": message[:1024]}
        steps = tuple(s.model_copy(update=failed) if s.name == step else s for s in status.steps)
        updated = status.model_copy(update={"steps": steps})
        if reason is Reason.VALIDATION_FAILED:
            updated = say(updated, "Validated", False, reason, message, at)
        return update(say(updated, "Halted", True, reason, f"{with_half(message, updated)} {_WAY_OUT}", at))

    return move(status, Cause.HALT, change)


def resume(status: RollbackStatus, *, at: datetime) -> RollbackStatus:
    """Repeats the failed steps with fresh time-outs; validation settles and begins anew."""

    def change() -> RollbackStatus:
        fresh = {"state": "Pending", "started_at": None, "written_at": None, "reason": "", "message": ""}
        # While restoring, the Revert that failed has had its turn: the Restore that failed is repeated.
        repeated = ("Restore",) if status.restoring else (*WORK, "Validate")
        attempt = attempt_of(status)
        steps = tuple(
            s.model_copy(update={**fresh, "repeats": s.repeats + 1})
            if s.state == "Failed" and s.action in repeated and s.attempt == attempt
            else s
            for s in status.steps
        )
        updated = status.model_copy(update={"steps": steps, "passing_since": None, "validation": ()})
        return update(say(updated, "Halted", False, Reason.ROLLBACK_RESUMED, "a person said Resume", at))

    return move(status, Cause.RESUME, change)


def begin_restore(
    status: RollbackStatus, ends_in: RestoredAs, message: str, *, at: datetime
) -> RollbackStatus:
    """Plans to put back what was done, in reverse order. `ends_in`: Aborted or Failed.

    A restore that halted goes on with the steps that it has.
    """

    def change() -> RollbackStatus:
        if status.restoring:
            again = {"state": "Pending", "started_at": None, "reason": "", "message": ""}
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
        updated = say(updated, "Reverted", False, reason, f"being put back as before: {message}", at)
        return update(say(updated, "Halted", False, Reason.RUNNING, f"restoring: {message}", at))

    return move(status, Cause.RESTORE, change)


def begin_undo(status: RollbackStatus, message: str, *, at: datetime) -> RollbackStatus:
    """A rollback that succeeded is put back as before, in reverse order; until that is done it has no result."""

    def change() -> RollbackStatus:
        steps = (*status.steps, *_restores(status))
        updated = status.model_copy(update={"steps": steps, "restoring": "Undone", "result": ""})
        reason = OUTCOMES["Undone"].reason
        updated = say(updated, "Reverted", False, reason, f"being put back as before: {message}", at)
        return update(say(updated, "Complete", False, Reason.RUNNING, f"being undone: {message}", at))

    return move(status, Cause.UNDO, change)


def _restores(status: RollbackStatus) -> tuple[Step, ...]:
    """One for each component that was touched, whichever targets were tried: from the last one straight to what was
    before the first. Those that depended on it are put back first."""
    touched = {}
    for component, reverts in reverts_of(status).items():
        begun = [s for s in reverts if s.before and s.state != "Skipped"]
        if begun:
            touched[component] = (begun[0], begun[-1])
    by_name = {s.name: s for s in status.steps}
    needs = {
        component: {by_name[name].component for s in reverts for name in _behind(s, by_name)}
        for component, reverts in reverts_of(status).items()
    }
    return tuple(
        Step(
            name=f"restore-{component}",
            action="Restore",
            component=component,
            depends_on=tuple(f"restore-{other}" for other in touched if component in needs[other]),
            attempt=attempt_of(status),
            before=last.after,
            after=first.before,
            was_ready=first.was_ready,
        )
        for component, (first, last) in reversed(touched.items())
    )


def _behind(step: Step, by_name: Mapping[str, Step]) -> set[str]:
    """The names of all steps that it waited for, directly or not."""
    found: set[str] = set()
    left = [step]
    while left:
        fresh = set(left.pop().depends_on) - found
        found |= fresh
        left += [by_name[name] for name in fresh]
    return found


def restored(status: RollbackStatus, *, at: datetime) -> RollbackStatus:
    """Everything touched is back as it was before the rollback."""

    def change() -> RollbackStatus:
        restores = [s for s in status.steps if s.action == "Restore"]
        left = [s.name for s in restores if s.state not in DONE]
        if left:
            raise IllegalTransition(f"{', '.join(left)} must be done before everything is back")
        back = {s.component for s in restores}
        steps = tuple(
            s.model_copy(update={"state": "Restored"}) if s.action == "Revert" and s.component in back else s
            for s in status.steps
        )
        ends_in: RestoredAs = status.restoring or "Aborted"
        message = f"put back as before: {', '.join(sorted(back)) or 'nothing was touched'}"
        updated = status.model_copy(update={"steps": steps})
        if back:
            updated = say(updated, "Reverted", False, OUTCOMES[ends_in].reason, message, at)
        return finish(updated, ends_in, message, at)

    return move(status, Cause.RESTORED, change)


def superseded(status: RollbackStatus, message: str, *, at: datetime) -> RollbackStatus:
    """A version that nobody judged is live: not ours to undo. What was reverted before stays so, and is said."""
    touched = any(s.written_at is not None for s in status.steps)
    said = f"{message}. That is left alone; by then: {half(status)}" if touched else message
    return move(status, Cause.SUPERSEDED, lambda: finish(status, "Superseded", said, at))


def abandon(status: RollbackStatus, message: str, *, at: datetime) -> RollbackStatus:
    """Ends as Aborted and leaves every target as it is."""
    return move(status, Cause.ABANDONED, lambda: finish(status, "Aborted", with_half(message, status), at))
