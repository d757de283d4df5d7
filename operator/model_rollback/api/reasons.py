"""Every reason this operator gives, once: in conditions, Events, log lines and metric labels.

People write `switch` statements and alert rules on these words; they are contract.
"""

from enum import StrEnum


class Reason(StrEnum):
    """A machine-readable word in CamelCase. The comment behind each group says where it appears."""

    # Triggers: `status.triggers[].state` changes, Events on the policy and the ModelDeployment
    TRIGGER_BREACHED = "TriggerBreached"
    TRIGGER_RECOVERED = "TriggerRecovered"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    METRICS_AVAILABLE = "MetricsAvailable"
    THRESHOLD_EXCEEDED = "ThresholdExceeded"
    ALL_HEALTHY = "AllHealthy"
    NOT_JUDGED = "NotJudged"

    # Gates: why a breach would start no Rollback now; reason of `Armed=False`
    ARMED = "Armed"
    SUSPENDED = "Suspended"
    INVALID_SPEC = "InvalidSpec"
    TARGETS_MISSING = "TargetsMissing"
    MIXED_VERSIONS = "MixedVersions"
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    TARGET_PAUSED = "TargetPaused"
    TARGET_SCALED_TO_ZERO = "TargetScaledToZero"
    FLEET_BRAKE = "FleetBrake"
    BREACH_CONSUMED = "BreachConsumed"
    COOLDOWN_ACTIVE = "CooldownActive"
    ROLLBACK_BUDGET_EXHAUSTED = "RollbackBudgetExhausted"
    FROZEN_WINDOW = "FrozenWindow"
    ALREADY_AT_TARGET = "AlreadyAtTarget"
    NO_SAFE_TARGET = "NoSafeTarget"
    ARTIFACT_MISSING = "ArtifactMissing"
    EXTERNALLY_MANAGED = "ExternallyManaged"

    # Life of a Rollback: Events on all four objects, reasons of its conditions
    ROLLBACK_STARTED = "RollbackStarted"
    ROLLBACK_BLOCKED = "RollbackBlocked"
    WOULD_ROLL_BACK = "WouldRollBack"
    PLANNED = "Planned"
    VERSION_QUARANTINED = "VersionQuarantined"
    QUARANTINE_RELEASED = "QuarantineReleased"
    COMPONENT_REVERTED = "ComponentReverted"
    REPROCESSING_STARTED = "ReprocessingStarted"
    JOB_SUSPENDED = "JobSuspended"
    VALIDATION_PASSED = "ValidationPassed"
    VALIDATION_FAILED = "ValidationFailed"
    VALIDATION_UNKNOWN = "ValidationUnknown"
    ROLLBACK_HALTED = "RollbackHalted"
    ROLLBACK_RESUMED = "RollbackResumed"
    ROLLBACK_SUCCEEDED = "RollbackSucceeded"
    ROLLBACK_FAILED = "RollbackFailed"
    ROLLBACK_SUPERSEDED = "RollbackSuperseded"
    ROLLBACK_ABORTED = "RollbackAborted"
    ROLLBACK_DENIED = "RollbackDenied"
    ROLLBACK_UNDONE = "RollbackUndone"
    STEP_NOTIFIES = "StepNotifies"
    STEP_FAILED = "StepFailed"
    NEXT_TARGET = "NextTarget"
    ESCALATED = "Escalated"
    INTENT_ACCEPTED = "IntentAccepted"
    INTENT_REFUSED = "IntentRefused"

    # Why a step or a preflight did not go on
    FORBIDDEN = "Forbidden"
    REFUSED = "Refused"
    JOB_FAILED = "JobFailed"
    STEP_TIMED_OUT = "StepTimedOut"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    TARGET_CHANGED = "TargetChanged"
    CONFLICT = "Conflict"
    API_UNAVAILABLE = "ApiUnavailable"
    RUNNING = "Running"
    PENDING = "Pending"

    PREFLIGHT_REFUSED = "PreflightRefused"

    # Readiness of a ModelDeployment
    TARGETS_AVAILABLE = "TargetsAvailable"
    READY = "Ready"
    NOT_READY = "NotReady"
    NOTHING_VERIFIED = "NothingVerified"
    NOT_EXTERNALLY_MANAGED = "NotExternallyManaged"
    MUTABLE_REFERENCE = "MutableReference"
    NO_TAG_MOVED = "NoTagMoved"

    # Review of a finished Rollback
    REVIEWED = "Reviewed"
    REVIEW_INCOMPLETE = "ReviewIncomplete"
