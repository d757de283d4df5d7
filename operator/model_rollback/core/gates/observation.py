"""What the gates look at, and what they say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.core.brake import NO_BRAKE, Brake
from model_rollback.core.candidates import Choice, choose
from model_rollback.core.live import LiveTarget
from model_rollback.core.presets import Policy
from model_rollback.core.triggers import TriggerMemory


@dataclass(frozen=True)
class Observation:
    """One frozen snapshot of everything a decision may look at.

    Attributes:
        policy: None while the policy's spec is invalid; `problem` says why.
        system: spec and status of the ModelDeployment; None while it is missing or invalid.
        live: its targets as last seen, in the order of its components.
        blind: why the targets cannot be watched; empty when they are.
        refused: why the API server did not let the last Rollback start; empty when it did.
        triggers: name → memory after the newest tick.
        missing: version → which of its artifacts or kept values was found missing.
        brake: the fleet brake of the policy's source.
        blind_policies: how many policies of the source cannot be measured.
    """

    now: datetime
    policy: Policy | None
    problem: str
    system: ModelDeploymentSpec | None
    status: ModelDeploymentStatus
    live: Sequence[LiveTarget]
    blind: str
    triggers: Mapping[str, TriggerMemory]
    refused: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    brake: Brake = NO_BRAKE
    blind_policies: int = 0

    @cached_property
    def choice(self) -> Choice:
        """Which version would be put back; without policy or system: none."""
        if self.policy is None or self.system is None:
            return Choice(None)
        return choose(self.policy.target, self.system, self.status, now=self.now, missing=self.missing)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a breach would start nothing now. `until`: when time alone may change that."""

    reason: Reason
    message: str
    until: datetime | None = None


Gate = Callable[[Observation], Blocked | None]
