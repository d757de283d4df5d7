"""Where a Rollback stands, in words and as conditions: nothing is left half done without being said."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from model_rollback.api.conditions import condition, find_condition, is_true, merge_conditions
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import Result, RollbackStatus, Step
from model_rollback.core.outcome import OUTCOMES

DONE: Final = ("Succeeded", "Skipped")


def attempt_of(status: RollbackStatus) -> int:
    """Which target is tried now, counted from 1."""
    return max((s.attempt for s in status.steps), default=1)


def current_steps(status: RollbackStatus) -> tuple[Step, ...]:
    """The steps that lead to the target tried now."""
    attempt = attempt_of(status)
    return tuple(s for s in status.steps if s.attempt == attempt and s.action != "Restore")


def reverts_of(status: RollbackStatus) -> dict[str, list[Step]]:
    """Component → its Reverts, one for each target that was tried."""
    found: dict[str, list[Step]] = {}
    for step in status.steps:
        if step.action == "Revert":
            found.setdefault(step.component, []).append(step)
    return found


def update(status: RollbackStatus, **changes: Any) -> RollbackStatus:
    """The status with these fields, and the STEP column that follows from them."""
    updated = status.model_copy(update=changes)
    return updated.model_copy(update={"current_step": describe_current(updated)})


def say(
    status: RollbackStatus, type_: str, verdict: bool | None, reason: Reason, message: str, at: datetime
) -> RollbackStatus:
    """The status with that condition."""
    said = condition(
        type_, status=verdict, reason=reason, message=message, at=at, generation=status.observed_generation
    )
    return status.model_copy(update={"conditions": merge_conditions(status.conditions, [said])})


def finish(status: RollbackStatus, result: Result, message: str, at: datetime) -> RollbackStatus:
    """The status with its result; the only place that writes one."""
    timeline = status.timeline.model_copy(update={"finished_at": at})
    updated = status.model_copy(update={"result": result, "timeline": timeline})
    reason = OUTCOMES[result].reason
    if find_condition(updated.conditions, "Halted") is not None:
        updated = say(updated, "Halted", False, reason, "", at)
    return update(say(updated, "Complete", True, reason, message, at))


def describe_current(status: RollbackStatus) -> str:
    """The STEP column: the running steps, or where it halted; empty when finished."""
    if status.result:
        return ""
    steps = [s for s in status.steps if s.action == "Restore"] if status.restoring else current_steps(status)
    if is_true(status.conditions, "Halted"):
        failed = [s.name for s in steps if s.state == "Failed"]
        return f"halted: {_some(failed)}" if failed else "halted: preflight"
    running = [s.name for s in steps if s.state == "Running"]
    if running:
        return _some(running)
    if status.procedure is None:
        return "waiting" if find_condition(status.conditions, "Planned") is not None else ""
    if not is_true(status.conditions, "Planned"):
        return "preflight"
    return next((s.name for s in steps if s.state == "Pending"), "")


def _some(names: list[str]) -> str:
    """At most two names and how many more, so that a column of a terminal holds it."""
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def stopped(status: RollbackStatus, told: Mapping[str, str]) -> RollbackStatus:
    """The status with what became of the Jobs of these steps."""
    steps = tuple(
        s.model_copy(update={"message": told[s.name][:1024]}) if s.name in told else s for s in status.steps
    )
    return status.model_copy(update={"steps": steps})


def half(status: RollbackStatus) -> str:
    """Where each component stands."""
    back = [s.component for s in status.steps if s.action == "Restore" and s.state in DONE]
    done, before, begun, untouched = [], [], [], []
    for component, reverts in reverts_of(status).items():
        last = reverts[-1]
        if component in back:
            continue
        if last.state in DONE:
            done.append(component)
        elif last.written_at is not None:
            begun.append(component)
        elif any(s.written_at is not None for s in reverts):
            before.append(component)
        else:
            untouched.append(component)
    places = (
        ("Reverted", done),
        ("Half done", begun),
        ("At an earlier target", before),
        ("Put back", back),
        ("Not touched", untouched),
    )
    return " ".join(f"{word}: {', '.join(names)}." for word, names in places if names)


def with_half(message: str, status: RollbackStatus) -> str:
    """The message, and where each component stands."""
    return f"{message.rstrip('.')}. {half(status)}".strip()
