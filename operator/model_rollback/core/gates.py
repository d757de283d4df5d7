"""Between a breach and a rollback: the gates, in order. Each passes, or says why not and when to look again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from model_rollback.api.reasons import Reason
from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from model_rollback.api.v1alpha1.rollback_policy import RollbackPolicySpec
from model_rollback.core.candidates import choose
from model_rollback.core.live import LiveTarget
from model_rollback.core.triggers import TriggerMemory


@dataclass(frozen=True, slots=True)
class Observation:
    """One frozen snapshot of everything a decision may look at.

    Attributes:
        policy: None while the policy's spec is invalid; `problem` says why.
        system: spec and status of the ModelDeployment; None while it is missing or invalid.
        live: its targets as last seen, in the order of its components.
        blind: why the targets cannot be watched; empty when they are.
        refused: why the API server did not let the last Rollback start; empty when it did.
        triggers: name → memory after the newest tick.
    """

    now: datetime
    policy: RollbackPolicySpec | None
    problem: str
    system: ModelDeploymentSpec | None
    status: ModelDeploymentStatus
    live: Sequence[LiveTarget]
    blind: str
    triggers: Mapping[str, TriggerMemory]
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a breach would start nothing now. `until`: when time alone may change that."""

    reason: Reason
    message: str
    until: datetime | None = None


Gate = Callable[[Observation], Blocked | None]


def _suspended(o: Observation) -> Blocked | None:
    """`spec.mode` is Suspended: nothing new is started."""
    if o.policy is not None and o.policy.mode == "Suspended":
        return Blocked(Reason.SUSPENDED, "spec.mode is Suspended: nothing new is started")
    return None


def _invalid_spec(o: Observation) -> Blocked | None:
    """The policy's spec cannot be used; its condition `Stalled` says what to mend."""
    return Blocked(Reason.INVALID_SPEC, o.problem) if o.policy is None else None


def _targets_missing(o: Observation) -> Blocked | None:
    """The ModelDeployment, a target or a pin is missing, or the targets cannot be watched."""
    if o.system is None:
        return Blocked(Reason.TARGETS_MISSING, o.problem or "the ModelDeployment does not exist")
    problems = [o.blind] if o.blind else [t.problem for t in o.live if t.pins is None]
    return Blocked(Reason.TARGETS_MISSING, "; ".join(problems)) if problems else None


def _rollback_in_progress(o: Observation) -> Blocked | None:
    """A Rollback holds the lock of this ModelDeployment."""
    if o.status.active_rollback:
        return Blocked(Reason.ROLLBACK_IN_PROGRESS, f"{o.status.active_rollback} is at work")
    return None


def _mixed_versions(o: Observation) -> Blocked | None:
    """Some components hold a new version and some the old one; wait for the rollout, or complete it."""
    if not o.status.current_version:
        return Blocked(Reason.MIXED_VERSIONS, "some components hold a new version and some the old one")
    return None


def _target_scaled_to_zero(o: Observation) -> Blocked | None:
    """A target runs no replicas: a rollback could not be validated."""
    zero = [t.component for t in o.live if t.scaled_to_zero]
    if zero:
        return Blocked(
            Reason.TARGET_SCALED_TO_ZERO,
            f"{', '.join(zero)} runs no replicas: a rollback could not be validated",
        )
    return None


def _breach_consumed(o: Observation) -> Blocked | None:
    """This breach has had its Rollback; the next breach begins after a healthy measurement."""
    breached = [m for m in o.triggers.values() if m.open]
    if breached and all(m.consumed_by for m in breached):
        return Blocked(
            Reason.BREACH_CONSUMED,
            f"this breach was answered by {breached[0].consumed_by}; the next counts from when the metric is healthy",
        )
    return None


def _cooldown_active(o: Observation) -> Blocked | None:
    """A Rollback of this ModelDeployment finished less than `guards.cooldown` ago."""
    last = max((r.finished_at for r in o.status.last_rollbacks), default=None)
    if o.policy is None or last is None:
        return None
    until = last + o.policy.guards.cooldown
    if until <= o.now:
        return None
    return Blocked(
        Reason.COOLDOWN_ACTIVE,
        f"a rollback finished at {last:%H:%M:%S} UTC; cooldown of {format_duration(o.policy.guards.cooldown)} "
        f"ends at {until:%Y-%m-%d %H:%M:%S} UTC",
        until,
    )


def _already_at_target(o: Observation) -> Blocked | None:
    """What would be put back is what runs: the pinned version, or the only Verified one."""
    if o.policy is None or o.system is None:
        return None
    target, current = o.policy.target, o.status.current_version
    pinned = target.strategy == "Pinned" and target.version == current
    verified = target.strategy == "LastVerified" and o.status.last_verified_version == current
    if not (pinned or verified) or choose(target, o.system, o.status, now=o.now).candidate is not None:
        return None
    if pinned:
        return Blocked(Reason.ALREADY_AT_TARGET, f"the pinned target {current} is what runs now")
    return Blocked(
        Reason.ALREADY_AT_TARGET, f"{current}, the only Verified version to go back to, is what runs now"
    )


def _no_safe_target(o: Observation) -> Blocked | None:
    """No version may be put back; the message says for each one why not."""
    if o.policy is None or o.system is None:
        return None
    choice = choose(o.policy.target, o.system, o.status, now=o.now)
    if choice.candidate is not None:
        return None
    return Blocked(Reason.NO_SAFE_TARGET, f"there is no version to go back to: {choice.why}")


GATES: Final[tuple[Gate, ...]] = (
    _suspended,
    _invalid_spec,
    _targets_missing,
    _rollback_in_progress,
    _mixed_versions,
    _target_scaled_to_zero,
    _breach_consumed,
    _cooldown_active,
    _already_at_target,
    _no_safe_target,
)
"""The order is the contract: the first block is the reason of `Armed=False`. A lock explains a mixture better than
the mixture explains itself, so `RollbackInProgress` comes before `MixedVersions`."""


def first_block(observation: Observation) -> Blocked | None:
    """The first gate that blocks, or None."""
    for gate in GATES:
        blocked = gate(observation)
        if blocked is not None:
            return blocked
    return None
