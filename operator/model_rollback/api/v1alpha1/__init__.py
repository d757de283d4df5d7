"""Version v1alpha1 of the kinds."""

from model_rollback.api.v1alpha1.model_deployment import (
    ModelDeployment,
    ModelDeploymentSpec,
)
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.api.v1alpha1.rollback import Rollback, RollbackSpec
from model_rollback.api.v1alpha1.rollback_policy import (
    RollbackPolicy,
    RollbackPolicySpec,
    RollbackPolicyStatus,
)
from model_rollback.api.v1alpha1.rollback_record import RollbackStatus

__all__ = [
    "ModelDeployment",
    "ModelDeploymentSpec",
    "ModelDeploymentStatus",
    "Rollback",
    "RollbackPolicy",
    "RollbackPolicySpec",
    "RollbackPolicyStatus",
    "RollbackSpec",
    "RollbackStatus",
]
