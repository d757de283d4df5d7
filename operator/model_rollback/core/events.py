"""Every Event this operator publishes, as one table: on which objects, and whether it is a warning."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from model_rollback.api.reasons import Reason

Role = Literal["RollbackPolicy", "ModelDeployment", "Rollback", "target"]
"""A kind of ours, or the workload that a component names."""

_JUDGING: Final[tuple[Role, ...]] = ("RollbackPolicy", "ModelDeployment")
_ROLLING_BACK: Final[tuple[Role, ...]] = ("Rollback", "ModelDeployment", "RollbackPolicy")
_REVERTING: Final[tuple[Role, ...]] = (*_ROLLING_BACK, "target")


@dataclass(frozen=True, slots=True)
class EventKind:
    """How one transition is told.

    Attributes:
        meaning: for people.
        action: what the operator was doing (`action` of events.k8s.io/v1).
        on: the objects that get the Event.
        warning: its type is Warning instead of Normal.
    """

    meaning: str
    action: str
    on: tuple[Role, ...]
    warning: bool = False


EVENTS: Final[Mapping[Reason, EventKind]] = MappingProxyType(
    {
        Reason.INVALID_SPEC: EventKind(
            "A policy or ModelDeployment cannot be used as it is.", "Validate", _JUDGING, True
        ),
        Reason.TARGETS_MISSING: EventKind("A target or a pin in it does not exist.", "Watch", _JUDGING, True),
        Reason.API_UNAVAILABLE: EventKind("The targets cannot be watched.", "Watch", _JUDGING, True),
        Reason.TARGETS_AVAILABLE: EventKind("Every target is there and watched again.", "Watch", _JUDGING),
        Reason.EXTERNALLY_MANAGED: EventKind(
            "Argo CD, Flux or Helm manages a target too and may bring the bad version back.",
            "Watch",
            _JUDGING,
            True,
        ),
        Reason.MUTABLE_REFERENCE: EventKind(
            "A tag means other bits than before: what runs is a new version with the pins of the old one.",
            "Watch",
            _JUDGING,
            True,
        ),
        Reason.TRIGGER_BREACHED: EventKind("A breach begins.", "Evaluate", _JUDGING, True),
        Reason.TRIGGER_RECOVERED: EventKind(
            "The breach is over: the trigger is healthy again.", "Evaluate", _JUDGING
        ),
        Reason.METRICS_UNAVAILABLE: EventKind("A trigger cannot be measured.", "Evaluate", _JUDGING, True),
        Reason.METRICS_AVAILABLE: EventKind("Every trigger is measured again.", "Evaluate", _JUDGING),
        Reason.FLEET_BRAKE: EventKind(
            "Breached, but so many policies are at once that the metrics are suspect: the Rollback waits.",
            "Evaluate",
            _JUDGING,
            True,
        ),
        Reason.ROLLBACK_BLOCKED: EventKind(
            "Breached, and a gate keeps the Rollback from starting: its name and what it says.",
            "Rollback",
            _JUDGING,
            True,
        ),
        Reason.WOULD_ROLL_BACK: EventKind(
            "Mode Observe: with Enforce a Rollback would start now.", "Rollback", _JUDGING, True
        ),
        Reason.FORBIDDEN: EventKind(
            "A Rollback cannot be started: the API server refuses.", "Rollback", _JUDGING, True
        ),
        Reason.ROLLBACK_STARTED: EventKind("A Rollback has its plan.", "Rollback", _REVERTING, True),
        Reason.PREFLIGHT_REFUSED: EventKind(
            "The dry run is refused, or pods would lack what they need; it is asked again and nothing is written.",
            "Rollback",
            _REVERTING,
            True,
        ),
        Reason.VERSION_QUARANTINED: EventKind(
            "The bad version is no rollback target for a while.", "Quarantine", _ROLLING_BACK
        ),
        Reason.QUARANTINE_RELEASED: EventKind(
            "A restore, an undo, `spec.quarantineReleases`, or a Rollback that ended before it wrote anything lets the"
            " version be a candidate again.",
            "Quarantine",
            _ROLLING_BACK,
        ),
        Reason.COMPONENT_REVERTED: EventKind(
            "A component is back and ready, or put back as before by a restore.", "Revert", _REVERTING
        ),
        Reason.REPROCESSING_STARTED: EventKind(
            "A Job was made from a CronJob that is back; those that depend on it wait for it.",
            "Reprocess",
            _REVERTING,
        ),
        Reason.JOB_SUSPENDED: EventKind(
            "A Job that the Rollback had started and that nobody waits for any more is suspended.",
            "Reprocess",
            _REVERTING,
            True,
        ),
        Reason.VALIDATION_PASSED: EventKind("Every probe passed for long enough.", "Validate", _ROLLING_BACK),
        Reason.VALIDATION_FAILED: EventKind("A probe failed.", "Validate", _ROLLING_BACK, True),
        Reason.ROLLBACK_HALTED: EventKind(
            "It waits for a person, who says Resume or Abort.", "Rollback", _REVERTING, True
        ),
        Reason.ROLLBACK_RESUMED: EventKind("A person said Resume.", "Rollback", _ROLLING_BACK),
        Reason.ROLLBACK_SUCCEEDED: EventKind("It ended with result Succeeded.", "Rollback", _REVERTING),
        Reason.ROLLBACK_FAILED: EventKind("It ended with result Failed.", "Rollback", _REVERTING, True),
        Reason.ROLLBACK_SUPERSEDED: EventKind(
            "It ended with result Superseded.", "Rollback", _REVERTING, True
        ),
        Reason.ROLLBACK_ABORTED: EventKind("It ended with result Aborted.", "Rollback", _REVERTING, True),
        Reason.ROLLBACK_IN_PROGRESS: EventKind(
            "A person's Rollback waits for another one to finish.", "Rollback", _ROLLING_BACK
        ),
        Reason.ROLLBACK_DENIED: EventKind("It ended with result Denied.", "Rollback", _REVERTING, True),
        Reason.ROLLBACK_UNDONE: EventKind("It ended with result Undone.", "Rollback", _REVERTING, True),
        Reason.STEP_NOTIFIES: EventKind(
            "A step of the policy tells people how far the Rollback is.", "Notify", _REVERTING
        ),
        Reason.STEP_FAILED: EventKind(
            "A step failed while others run; they are let finish and no new one begins.",
            "Revert",
            _REVERTING,
            True,
        ),
        Reason.NEXT_TARGET: EventKind(
            "Validation failed; the next target of the plan is put back.", "Validate", _REVERTING, True
        ),
        Reason.ESCALATED: EventKind(
            "Validation failed and the procedure calls people before it halts.", "Validate", _REVERTING, True
        ),
        Reason.INTENT_REFUSED: EventKind(
            "What a person asked of a Rollback makes no sense there; nothing is changed.",
            "Rollback",
            _ROLLING_BACK,
            True,
        ),
    }
)
