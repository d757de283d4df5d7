"""The plan of a rollback: its name, its steps in dependency order, and the procedure as resolved now."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta

from model_rollback.api.group import LABEL_APP_VERSION
from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.policy_step import PolicyStep
from model_rollback.api.v1alpha1.probe import Probe, ReadinessProbe
from model_rollback.api.v1alpha1.rollback_record import PlannedTarget, Procedure, Step
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.core.pins import Values, digest
from model_rollback.core.presets import Policy
from model_rollback.core.promql import longest_range

VALIDATE = "validate"
_MIN_SETTLE = timedelta(minutes=1)


def rollback_name(model_deployment: str, uid: str, episode: int, attempt: int) -> str:
    """The same breach has the same name, so creating it twice is a conflict and not a second rollback."""
    text = f"{uid}/{episode}/{attempt}"
    prefix = model_deployment[:200].rstrip(".-")
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def in_dependency_order(components: Sequence[Component]) -> list[Component]:
    """Dependencies first; otherwise as listed. The graph has no cycle: the model refuses one."""
    by_name = {c.name: c for c in components}
    ordered: dict[str, Component] = {}

    def visit(component: Component) -> None:
        if component.name in ordered:
            return
        for name in component.depends_on:
            visit(by_name[name])
        ordered[component.name] = component

    for component in components:
        visit(component)
    return list(ordered.values())


def make_steps(
    components: Sequence[Component],
    live: Mapping[str, Mapping[str, str]],
    wanted: Mapping[str, Mapping[str, str]],
    *,
    attempt: int = 1,
    listed: Sequence[PolicyStep] = (),
) -> tuple[Step, ...]:
    """One Revert for each component whose live pins differ from the wanted ones, its Reprocess, then Validate.

    A Revert waits for those of all components behind its `dependsOn`, also through components that do not differ;
    the others run side by side.

    Args:
        attempt: which target of the Rollback this is; the names of its steps say so.
        listed: the procedure as a policy writes it out: one step after the other, without Reverts of what is there.
    """
    suffix = "" if attempt == 1 else f"-{attempt}"
    behind = _behind(components)
    differing = [
        c.name
        for c in in_dependency_order(components)
        if c.name in wanted and any(live.get(c.name, {}).get(pin) != v for pin, v in wanted[c.name].items())
    ]
    by_name = {c.name: c for c in components}
    if listed:
        return _listed_steps(listed, by_name, differing, suffix, attempt)
    steps: list[Step] = []
    last: dict[str, str] = {}
    for name in differing:
        waits_for = tuple(last[other] for other in differing if other in behind[name])
        made = _steps_of(by_name[name], waits_for, suffix, attempt)
        steps += made
        last[name] = made[-1].name
    done = tuple(last.values())
    return (*steps, Step(name=f"{VALIDATE}{suffix}", action="Validate", depends_on=done, attempt=attempt))


def _listed_steps(
    listed: Sequence[PolicyStep],
    components: Mapping[str, Component],
    differing: Sequence[str],
    suffix: str,
    attempt: int,
) -> tuple[Step, ...]:
    """Nothing but Validate when nothing differs: then there is nothing that a Job could prepare."""
    steps: list[Step] = []
    for written in listed if differing else listed[-1:]:
        before = (steps[-1].name,) if steps else ()
        if written.component is None:
            timeout = written.job.timeout if written.job is not None else None
            given = {"action": written.action, "attempt": attempt, "depends_on": before, "timeout": timeout}
            steps.append(Step.model_validate({"name": f"{written.name}{suffix}", **given}))
        elif written.component in differing:
            component = components[written.component]
            first, *rest = _steps_of(component, before, suffix, attempt)
            named = {"name": f"{written.name}{suffix}", "timeout": written.timeout}
            steps.append(first.model_copy(update=named))
            steps += [s.model_copy(update={"depends_on": (named["name"],)}) for s in rest]
    return tuple(steps)


def problem_of_steps(listed: Sequence[PolicyStep], components: Sequence[Component]) -> str:
    """Why a written procedure does not fit the ModelDeployment; empty when it does."""
    if not listed:
        return ""
    known = {c.name: c for c in components}
    reverted = [s.component for s in listed if s.component is not None]
    unknown = [name for name in reverted if name not in known]
    if unknown:
        return f"spec.steps revert {', '.join(unknown)}, which the ModelDeployment does not have"
    left = [name for name in known if name not in reverted]
    if left:
        return f"spec.steps must revert every component; {', '.join(left)} is missing"
    for number, name in enumerate(reverted):
        late = [d for d in known[name].depends_on if d in reverted[number:]]
        if late:
            return f"spec.steps revert {name} before {', '.join(late)}, which it depends on"
    return ""


def _steps_of(component: Component, waits_for: tuple[str, ...], suffix: str, attempt: int) -> list[Step]:
    revert = Step(
        name=f"revert-{component.name}{suffix}",
        action="Revert",
        component=component.name,
        depends_on=waits_for,
        attempt=attempt,
    )
    if component.reprocess is None:
        return [revert]
    reprocess = Step(
        name=f"reprocess-{component.name}{suffix}",
        action="Reprocess",
        component=component.name,
        depends_on=(revert.name,),
        attempt=attempt,
        timeout=component.reprocess.timeout,
    )
    return [revert, reprocess]


def _behind(components: Sequence[Component]) -> dict[str, set[str]]:
    """Component → everything that it depends on, directly or not."""
    found: dict[str, set[str]] = {}
    for component in in_dependency_order(components):
        direct = component.depends_on
        found[component.name] = set(direct).union(*(found[name] for name in direct))
    return found


def resolve_procedure(policy: Policy, breached: Sequence[str]) -> Procedure:
    """The policy as it applies to one Rollback. `breached`: names of the triggers that caused it."""
    validation = policy.validation
    probes = tuple(validation.probes) or _default_probes(breached)
    named = {p.trigger for p in probes if p.trigger is not None}
    triggers = tuple(t for t in policy.triggers if t.name in named)
    return Procedure(
        steps=tuple(policy.steps),
        step_timeout=policy.execution.step_timeout,
        on_failure=policy.execution.on_failure,
        on_validation_failure=validation.on_failure,
        target=policy.target,
        settle=settle_of(policy),
        duration=validation.duration,
        interval=policy.interval,
        probes=probes,
        metrics_source=policy.metrics_source,
        triggers=triggers,
        quarantine=policy.quarantine.duration,
    )


def served_version(system: ModelDeploymentSpec, wanted: Values, version: str) -> str:
    """The label `app.kubernetes.io/version` of the first Model component in `wanted`; else the version's name.

    A version may be called `v12-3fa9` or `auto-…` here while its server knows itself as `v12`.
    """
    first = next((c.name for c in system.components if c.type == "Model"), "")
    template = wanted.get(first, {}).get("template", {})
    labels = (template.get("metadata") or {}).get("labels") or {}
    return str(labels.get(LABEL_APP_VERSION, version))


def _default_probes(breached: Sequence[str]) -> tuple[Probe, ...]:
    return (
        Probe(name="ready", readiness=ReadinessProbe()),
        *(Probe(name=_probe_name(name), trigger=name) for name in breached),
    )


def _probe_name(trigger: str) -> str:
    """`recovered-<trigger>`; where that is too long, cut and told apart by a digest."""
    name = f"recovered-{trigger}"
    return name if len(name) <= 63 else f"{name[:54]}-{digest(trigger)[:8]}"


def settle_of(policy: Policy) -> timedelta:
    """How long old samples stay in the windows of the queries."""
    settle: timedelta | None = policy.validation.settle
    probes = tuple(policy.validation.probes)
    return settle if settle is not None else default_settle(policy.triggers, probes)


def default_settle(triggers: Sequence[Trigger], probes: Sequence[Probe] = ()) -> timedelta:
    """The longest range window that any trigger or metric probe looks back over, at least a minute."""
    queries = [t.query for t in triggers] + [p.metric.query for p in probes if p.metric is not None]
    return max([_MIN_SETTLE, *map(longest_range, queries)])


def plan_hash(targets: Sequence[PlannedTarget], steps: Sequence[Step], procedure: Procedure) -> str:
    """What a person agrees to: the targets in their order, the steps to the first one, and the procedure."""
    return digest(
        {
            "to": [[t.version, t.digest] for t in targets],
            "steps": [[s.name, s.action, s.component] for s in steps],
            "procedure": procedure.model_dump(mode="json", by_alias=True),
        }
    )
