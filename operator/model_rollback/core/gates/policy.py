"""Gates that look at the policy alone."""

from model_rollback.api.reasons import Reason
from model_rollback.core.gates.observation import Blocked, Observation


def suspended(o: Observation) -> Blocked | None:
    """`spec.mode` is Suspended: nothing new is started."""
    if o.policy is not None and o.policy.mode == "Suspended":
        return Blocked(Reason.SUSPENDED, "spec.mode is Suspended: nothing new is started")
    return None


def invalid_spec(o: Observation) -> Blocked | None:
    """The policy's spec cannot be used; its condition `Stalled` says what to mend."""
    return Blocked(Reason.INVALID_SPEC, o.problem) if o.policy is None else None
