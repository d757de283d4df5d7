"""Between a breach and a rollback: the gates, in order. Each passes, or says why not and when to look again."""

from typing import Final

from model_rollback.core.gates.choice import already_at_target, artifact_missing, no_safe_target
from model_rollback.core.gates.observation import Blocked, Gate, Observation
from model_rollback.core.gates.pace import (
    breach_consumed,
    cooldown_active,
    fleet_brake,
    frozen_window,
    rollback_budget_exhausted,
)
from model_rollback.core.gates.policy import invalid_spec, suspended
from model_rollback.core.gates.targets import (
    externally_managed,
    mixed_versions,
    rollback_in_progress,
    target_paused,
    target_scaled_to_zero,
    targets_missing,
)

__all__ = ["GATES", "Blocked", "Gate", "Observation", "first_block"]

GATES: Final[tuple[Gate, ...]] = (
    suspended,
    invalid_spec,
    targets_missing,
    rollback_in_progress,
    mixed_versions,
    target_paused,
    target_scaled_to_zero,
    fleet_brake,
    breach_consumed,
    cooldown_active,
    rollback_budget_exhausted,
    frozen_window,
    already_at_target,
    no_safe_target,
    artifact_missing,
    externally_managed,
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
