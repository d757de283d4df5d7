"""The way to the target: from the plan over preflight, steps and probes to Succeeded, or on to the next target."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from model_rollback.api.reasons import Reason
from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.artifacts import PlannedArtifact
from model_rollback.api.v1alpha1.rollback_record import PlannedTarget, RollbackStatus, Step
from model_rollback.core.machine.table import WORK, Cause, Phase, move, phase_of
from model_rollback.core.machine.words import current_steps, finish, say, update


def waits(status: RollbackStatus, message: str, *, at: datetime) -> RollbackStatus:
    """A person's Rollback waits for another one to finish."""

    def change() -> RollbackStatus:
        return update(say(status, "Planned", False, Reason.ROLLBACK_IN_PROGRESS, message, at))

    return move(status, Cause.WAITS, change)


def deny(status: RollbackStatus, reason: Reason, message: str, *, at: datetime) -> RollbackStatus:
    """What a person asked for is not allowed; nothing was touched."""

    def change() -> RollbackStatus:
        return finish(say(status, "Planned", False, reason, message, at), "Denied", message, at)

    return move(status, Cause.DENIED, change)


def planned(status: RollbackStatus, plan: Mapping[str, Any], *, at: datetime) -> RollbackStatus:
    """Records the plan; `plan` holds the status fields that planning fills. Written before anything else is."""

    def change() -> RollbackStatus:
        said = status.model_copy(update=dict(plan))
        said = say(said, "Planned", None, Reason.RUNNING, f"its dry run is under way: {_names(said)}", at)
        for type_ in ("Reverted", "Validated", "Complete"):
            said = say(said, type_, False, Reason.PENDING, "", at)
        return update(said)

    return move(status, Cause.PLANNED, change)


def preflight_waits(status: RollbackStatus, reason: Reason, message: str, *, at: datetime) -> RollbackStatus:
    """The dry run could not be passed yet; nothing is written to any target and it is asked again."""
    return move(
        status, Cause.PREFLIGHT_WAITS, lambda: update(say(status, "Planned", False, reason, message, at))
    )


def preflight_passed(
    status: RollbackStatus,
    *,
    at: datetime,
    unknown: Sequence[str] = (),
    artifacts: tuple[PlannedArtifact, ...] = (),
) -> RollbackStatus:
    """Every write passed its dry run under the identity that will write.

    Args:
        unknown: objects that the pods need and that nobody could be asked about.
        artifacts: of the version that is put back, none of them known to be missing.
    """
    message = f"every write passed its dry run: {_names(status)}"
    if unknown:
        message += f"; not checked, because the operator may not look: {', '.join(unknown)}"
    elsewhere = [a.uri for a in artifacts if a.exists == "Unknown"]
    if elsewhere:
        message += f"; artifacts that cannot be asked for here: {', '.join(elsewhere)}"
    targets = tuple(
        t.model_copy(update={"artifacts": artifacts}) if t.version == status.to_version else t
        for t in status.targets
    )
    return move(
        status,
        Cause.PREFLIGHT_PASSED,
        lambda: update(say(status, "Planned", True, Reason.PLANNED, message, at), targets=targets),
    )


def _names(status: RollbackStatus) -> str:
    """The steps to the present target, in order."""
    return ", ".join(s.name for s in current_steps(status))[:500]


def change_step(status: RollbackStatus, name: str, *, at: datetime, **changes: Any) -> RollbackStatus:
    """Changes one step. The last one that is done before validation sets `Reverted` and the timeline.

    Where every Revert to this target was skipped, it was put there by others: it ends as Superseded, in the same
    write.
    """

    def change() -> RollbackStatus:
        steps = tuple(s.model_copy(update=changes) if s.name == name else s for s in status.steps)
        updated = status.model_copy(update={"steps": steps})
        if phase_of(status) is Phase.REVERTING and _all_skipped(updated):
            message = f"everything was at {status.to_version} already, not by this Rollback"
            return finish(updated, "Superseded", message, at)
        written_at = changes.get("written_at")
        if written_at is not None and updated.timeline.first_write_at is None:
            timeline = updated.timeline.model_copy(update={"first_write_at": written_at})
            updated = updated.model_copy(update={"timeline": timeline})
        if changes.get("state") == "Running" and any(
            s.name == name and s.action == "Validate" for s in steps
        ):
            updated = say(updated, "Validated", False, Reason.RUNNING, _what_proves_it(updated, at), at)
        if phase_of(status) is Phase.REVERTING and phase_of(updated) is Phase.VALIDATING:
            timeline = updated.timeline.model_copy(update={"reverted_at": at})
            updated = updated.model_copy(update={"timeline": timeline})
            message = f"every component is at {status.to_version} and ready"
            updated = say(updated, "Reverted", True, Reason.COMPONENT_REVERTED, message, at)
        return update(updated)

    return move(status, Cause.STEP_CHANGED, change)


def _what_proves_it(status: RollbackStatus, began: datetime) -> str:
    """What validation waits for from now on, in words."""
    procedure = status.procedure
    if procedure is None:
        return ""
    settles = f"settles until {began + procedure.settle:%H:%M:%S} UTC, then " if procedure.settle else ""
    names = ", ".join(p.name for p in procedure.probes)
    return f"{settles}these must pass for {format_duration(procedure.duration)}: {names}"


def _all_skipped(status: RollbackStatus) -> bool:
    return all(s.state == "Skipped" for s in current_steps(status) if s.action == "Revert")


def startable(steps: Sequence[Step]) -> list[Step]:
    """The steps that go on now, side by side: those that run, and those whose turn has come.

    Once one has failed no other begins; those that run are let finish.
    """
    done = {s.name for s in steps if s.state in ("Succeeded", "Skipped")}
    running = [s for s in steps if s.state == "Running"]
    if any(s.state == "Failed" for s in steps):
        return running
    return running + [s for s in steps if s.state == "Pending" and done.issuperset(s.depends_on)]


def work_steps(status: RollbackStatus) -> list[Step]:
    """The steps of the present phase that write: Restores while it restores, else those before validation."""
    if status.restoring:
        return [s for s in status.steps if s.action == "Restore"]
    return [s for s in current_steps(status) if s.action in WORK]


def probed(status: RollbackStatus, **changes: Any) -> RollbackStatus:
    """Records the probes' answers: `validation` and `passing_since`."""
    return move(status, Cause.PROBED, lambda: update(status, **changes))


def validated(status: RollbackStatus, *, at: datetime) -> RollbackStatus:
    """All probes passed for the whole duration: the only way to Succeeded."""

    def change() -> RollbackStatus:
        steps = _with_validation(status, state="Succeeded", finished_at=at)
        timeline = status.timeline.model_copy(update={"validated_at": at})
        updated = status.model_copy(update={"steps": steps, "timeline": timeline})
        message = (
            f"every probe passed since {status.passing_since:%H:%M:%S} UTC" if status.passing_since else ""
        )
        updated = say(updated, "Validated", True, Reason.VALIDATION_PASSED, message, at)
        return finish(updated, "Succeeded", f"{status.to_version} is back and validated", at)

    return move(status, Cause.VALIDATED, change)


def _with_validation(status: RollbackStatus, **changes: Any) -> tuple[Step, ...]:
    now = {s.name for s in current_steps(status) if s.action == "Validate"}
    return tuple(s.model_copy(update=changes) if s.name in now else s for s in status.steps)


def next_target(
    status: RollbackStatus, plan: Mapping[str, Any], steps: Sequence[Step], message: str, *, at: datetime
) -> RollbackStatus:
    """Gives the target up whose validation failed and goes on to the next one, whose steps are appended.

    Args:
        plan: the status fields of the new target: `to_version`, `to_revision`, `targets`, `plan_hash`.
        message: what failed.
    """

    def change() -> RollbackStatus:
        failed = _with_validation(
            status, state="Failed", finished_at=at, reason=Reason.VALIDATION_FAILED, message=message[:1024]
        )
        fields = {**plan, "steps": (*failed, *steps), "passing_since": None, "validation": ()}
        updated = status.model_copy(update=fields)
        words = f"{status.to_version}: {message}; {updated.to_version} is next"
        updated = say(updated, "Validated", False, Reason.VALIDATION_FAILED, words, at)
        updated = say(updated, "Reverted", False, Reason.RUNNING, words, at)
        said = f"the dry run of the way to {updated.to_version} is under way: {_names(updated)}"
        return update(say(updated, "Planned", None, Reason.RUNNING, said, at))

    return move(status, Cause.NEXT_TARGET, change)


def tried(status: RollbackStatus) -> list[PlannedTarget]:
    """The targets that were put back or are being put back, in order."""
    return sorted((t for t in status.targets if t.attempt), key=lambda t: t.attempt)
