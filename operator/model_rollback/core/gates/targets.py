"""Gates that look at the targets: whether they are there, whole, running, and ours to change."""

from model_rollback.api.reasons import Reason
from model_rollback.core.gates.observation import Blocked, Observation


def targets_missing(o: Observation) -> Blocked | None:
    """The ModelDeployment, a target or a pin is missing, or the targets cannot be watched."""
    if o.system is None:
        return Blocked(Reason.TARGETS_MISSING, o.problem or "the ModelDeployment does not exist")
    problems = [o.blind] if o.blind else [t.problem for t in o.live if t.pins is None]
    return Blocked(Reason.TARGETS_MISSING, "; ".join(problems)) if problems else None


def rollback_in_progress(o: Observation) -> Blocked | None:
    """A Rollback holds the lock of this ModelDeployment."""
    if o.status.active_rollback:
        return Blocked(Reason.ROLLBACK_IN_PROGRESS, f"{o.status.active_rollback} is at work or halted")
    return None


def mixed_versions(o: Observation) -> Blocked | None:
    """Some components hold a new version and some the old one; wait for the rollout, or complete it."""
    if not o.status.current_version:
        return Blocked(Reason.MIXED_VERSIONS, "some components hold a new version and some the old one")
    return None


def target_paused(o: Observation) -> Blocked | None:
    """A target's own controller is paused or suspended: what is put back would not be rolled out. Resume it."""
    paused = [t.component for t in o.live if t.paused]
    if paused:
        return Blocked(
            Reason.TARGET_PAUSED,
            f"{', '.join(paused)} is paused or suspended: what is put back would not be rolled out; resume it",
        )
    return None


def target_scaled_to_zero(o: Observation) -> Blocked | None:
    """A target runs no replicas: a rollback could not be validated."""
    zero = [t.component for t in o.live if t.scaled_to_zero]
    if zero:
        return Blocked(
            Reason.TARGET_SCALED_TO_ZERO,
            f"{', '.join(zero)} runs no replicas: a rollback could not be validated",
        )
    return None


def externally_managed(o: Observation) -> Blocked | None:
    """Argo CD, Flux or Helm owns a target, and `spec.ownership.onExternalManager` is Refuse."""
    if o.policy is None or o.policy.ownership.on_external_manager != "Refuse":
        return None
    owned = [f"{t.component} by {t.managed_by}" for t in o.live if t.managed_by]
    if owned:
        return Blocked(
            Reason.EXTERNALLY_MANAGED,
            f"managed from elsewhere: {', '.join(owned)}; roll back there, "
            "or set spec.ownership.onExternalManager to Warn",
        )
    return None
