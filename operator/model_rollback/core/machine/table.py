"""The table: the phases of a Rollback, what moves it, and where each cause may lead. Nothing else is legal."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from model_rollback.api.conditions import is_true
from model_rollback.api.v1alpha1.rollback_record import RollbackStatus, StepAction

WORK: Final[tuple[StepAction, ...]] = ("Revert", "Reprocess", "Job", "Notify")
"""Actions of the plan that come before validation."""


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

    WAITS = "another Rollback holds the lock"
    DENIED = "what a person asked for is not allowed"
    PLANNED = "plan recorded"
    PREFLIGHT_WAITS = "preflight cannot be asked"
    PREFLIGHT_PASSED = "every patch passed its dry run"
    STEP_CHANGED = "a step moves on"
    PROBED = "probes answered"
    VALIDATED = "all probes passed for long enough"
    NEXT_TARGET = "a probe failed, and a next target is left"
    HALT = "a step failed"
    RESUME = "a person says Resume"
    RESTORE = "Abort, or onFailure: Restore"
    UNDO = "a person says Undo"
    RESTORED = "everything is back as it was"
    SUPERSEDED = "somebody deployed another version"
    ABANDONED = "Abort with onAbort: Leave, or the ModelDeployment is gone"


Change = Callable[[RollbackStatus], RollbackStatus]

_ANY_ACTIVE: Final = (Phase.REQUESTED, Phase.PREFLIGHT, Phase.REVERTING, Phase.VALIDATING, Phase.RESTORING)

TRANSITIONS: Final[Mapping[tuple[Phase, Cause], frozenset[Phase]]] = {
    (Phase.REQUESTED, Cause.WAITS): frozenset({Phase.REQUESTED}),
    (Phase.REQUESTED, Cause.DENIED): frozenset({Phase.FINISHED}),
    (Phase.REQUESTED, Cause.PLANNED): frozenset({Phase.PREFLIGHT}),
    (Phase.PREFLIGHT, Cause.PREFLIGHT_WAITS): frozenset({Phase.PREFLIGHT}),
    (Phase.PREFLIGHT, Cause.PREFLIGHT_PASSED): frozenset({Phase.REVERTING}),
    (Phase.REVERTING, Cause.STEP_CHANGED): frozenset({Phase.REVERTING, Phase.VALIDATING, Phase.FINISHED}),
    (Phase.VALIDATING, Cause.STEP_CHANGED): frozenset({Phase.VALIDATING}),
    (Phase.VALIDATING, Cause.PROBED): frozenset({Phase.VALIDATING}),
    (Phase.VALIDATING, Cause.VALIDATED): frozenset({Phase.FINISHED}),
    (Phase.VALIDATING, Cause.NEXT_TARGET): frozenset({Phase.PREFLIGHT}),
    (Phase.RESTORING, Cause.STEP_CHANGED): frozenset({Phase.RESTORING}),
    (Phase.RESTORING, Cause.RESTORED): frozenset({Phase.FINISHED}),
    (Phase.FINISHED, Cause.UNDO): frozenset({Phase.RESTORING}),
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
    if any(s.action in WORK and s.state in ("Pending", "Running", "Failed") for s in status.steps):
        return Phase.REVERTING
    return Phase.VALIDATING


def move(status: RollbackStatus, cause: Cause, change: Callable[[], RollbackStatus]) -> RollbackStatus:
    """The status after `change`; raises IllegalTransition, and nothing is changed, where the table says no."""
    before = phase_of(status)
    allowed = TRANSITIONS.get((before, cause))
    if allowed is None:
        raise IllegalTransition(f"{cause!r} is not legal while {before}")
    after = change()
    if phase_of(after) not in allowed:
        raise IllegalTransition(f"{cause!r} led from {before} to {phase_of(after)}")
    return after
