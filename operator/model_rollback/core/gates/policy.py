"""Gates that look at the policy, and whether it fits the system that it protects."""

from collections.abc import Sequence

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.probe import Probe
from model_rollback.core.gates.observation import Blocked, Observation
from model_rollback.core.plan import problem_of_steps


def suspended(o: Observation) -> Blocked | None:
    """`spec.mode` is Suspended: nothing new is started."""
    if o.policy is not None and o.policy.mode == "Suspended":
        return Blocked(Reason.SUSPENDED, "spec.mode is Suspended: nothing new is started")
    return None


def invalid_spec(o: Observation) -> Blocked | None:
    """The policy's spec cannot be used, or does not fit the ModelDeployment; `Stalled` or the message says why."""
    if o.policy is None:
        return Blocked(Reason.INVALID_SPEC, o.problem)
    if o.system is None:
        return None
    components = o.system.components
    problem = problem_of_steps(o.policy.steps, components) or _problem_of_probes(
        o.policy.validation.probes, [c.name for c in components]
    )
    return Blocked(Reason.INVALID_SPEC, problem) if problem else None


def _problem_of_probes(probes: Sequence[Probe], components: Sequence[str]) -> str:
    for index, probe in enumerate(probes):
        if probe.logs is not None and probe.logs.component not in components:
            return (
                f"spec.validation.probes.{index}.logs.component: the ModelDeployment has no component "
                f"{probe.logs.component!r}; it has {', '.join(sorted(components))}"
            )
    return ""
