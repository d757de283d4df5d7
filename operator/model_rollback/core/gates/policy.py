"""Gates that look at the policy, and whether it fits the system that it protects."""

from model_rollback.api.reasons import Reason
from model_rollback.core.gates.observation import Blocked, Observation


def suspended(o: Observation) -> Blocked | None:
    """`spec.mode` is Suspended: nothing new is started."""
    if o.policy is not None and o.policy.mode == "Suspended":
        return Blocked(Reason.SUSPENDED, "spec.mode is Suspended: nothing new is started")
    return None


def invalid_spec(o: Observation) -> Blocked | None:
    """The policy's spec cannot be used; its condition `Stalled` says what to mend. Or a probe names no component."""
    if o.policy is None:
        return Blocked(Reason.INVALID_SPEC, o.problem)
    known = {c.name for c in o.system.components} if o.system is not None else None
    for index, probe in enumerate(o.policy.validation.probes):
        if probe.logs is not None and known is not None and probe.logs.component not in known:
            return Blocked(
                Reason.INVALID_SPEC,
                f"spec.validation.probes.{index}.logs.component: the ModelDeployment has no component "
                f"{probe.logs.component!r}; it has {', '.join(sorted(known))}",
            )
    return None
