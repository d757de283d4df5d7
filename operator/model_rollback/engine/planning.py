"""Makes the plan of one Rollback from what runs now, and keeps both versions whole before anything is touched."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.not_reverted import NotReverted
from model_rollback.api.v1alpha1.rollback_record import MAX_TARGETS, PlannedTarget, Procedure
from model_rollback.api.v1alpha1.target import Target
from model_rollback.core import candidates, plan, versions
from model_rollback.core.pins import Values, identity_of, shown
from model_rollback.core.triggers import is_open
from model_rollback.engine import artifacts, leftovers, revisions
from model_rollback.engine.reading import pins_of, read_targets, read_values
from model_rollback.engine.store import PolicyEntry, RollbackEntry, SystemEntry
from model_rollback.engine.ways import Dry, NoWay, Way, keep, way_to
from model_rollback.ports import Object, Objects


@dataclass(frozen=True, slots=True)
class Made:
    """Either the status fields of a plan, or why there is none. `kept`: revision → the values it was made of."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Values] = field(default_factory=dict)
    superseded: str = ""
    abandoned: str = ""
    denied: tuple[Reason, str] | None = None


async def live_digest(objects: Objects, system: SystemEntry) -> str | None:
    """The identity of what runs now, read from the API server; None when a target is missing."""
    values = await read_values(objects, system)
    return identity_of(values) if values is not None else None


async def make(
    objects: Objects,
    writer: Dry,
    system: SystemEntry,
    rollback: RollbackEntry,
    policy: PolicyEntry | None,
    *,
    now: datetime,
) -> Made:
    """Plans from the API server's present state, not from what was seen when the breach was judged.

    Raises:
        ClusterError: the API server could not be asked; nothing was written to a target.
    """
    specs = _usable(rollback, system, policy)
    if isinstance(specs, Made):
        return specs
    spec, procedure = specs
    found = await read_targets(objects, system)
    live = pins_of(spec, found) if found is not None else None
    if found is None or live is None:
        return _never(rollback, Reason.TARGETS_MISSING, "a target disappeared before the plan was made.")
    writer.remember(found)
    start = _start_of(rollback, spec, system, live)
    if isinstance(start, Made):
        return start
    target = await _target_of(objects, rollback, start[0], procedure.target, spec, system, now)
    if isinstance(target, Made):
        return target
    way = await way_to(objects, writer, system, target, live, attempt=1, listed=procedure.steps)
    if isinstance(way, NoWay):
        if way.there_already:
            return Made(superseded=way.why)
        return _never(rollback, Reason.NO_SAFE_TARGET, way.why)
    from_revision, not_reverted = await _keep_both(
        objects, system, spec, start[0], live, found, way, target.revision
    )
    targets = _targets(target, procedure, spec, system, now)
    fields = _fields(rollback, start, targets, way, procedure, now)
    return Made(
        {**fields, "from_revision": from_revision, "not_reverted": not_reverted},
        {from_revision: live, way.entry.revision: way.values},
    )


def _usable(
    rollback: RollbackEntry, system: SystemEntry, policy: PolicyEntry | None
) -> tuple[ModelDeploymentSpec, Procedure] | Made:
    """What the system is made of and the procedure as the policy has it now, unless one of them is invalid."""
    if system.spec is None:
        return _never(rollback, Reason.INVALID_SPEC, f"{system.ref} is invalid: {system.problem}.")
    if policy is None or policy.spec is None:
        name = rollback.spec.policy_ref.name
        said = f"RollbackPolicy {name} is gone or invalid, and there was no plan yet."
        return _never(rollback, Reason.INVALID_SPEC, said)
    problem = plan.problem_of_steps(policy.spec.steps, system.spec.components)
    if problem:
        return _never(rollback, Reason.INVALID_SPEC, problem)
    open_now = [t.name for t in policy.status.triggers if is_open(t)]
    procedure = plan.resolve_procedure(
        policy.spec, [e.trigger for e in rollback.handed_over] or open_now
    ).model_copy(
        update={
            "target": _conditions(rollback, policy.spec.target),
            "service_account_name": system.spec.service_account_name or "",
        }
    )
    return system.spec, procedure


async def _keep_both(
    objects: Objects,
    system: SystemEntry,
    spec: ModelDeploymentSpec,
    bad: str,
    live: Values,
    found: Mapping[str, Object],
    way: Way,
    recorded: str,
) -> tuple[str, tuple[NotReverted, ...]]:
    """Keeps what runs and what is put back; the revision of what runs, and what the way leaves as it is.

    `recorded`: the revision of what is put back as it was when it was recorded.
    """
    reverted = [s.component for s in way.steps if s.action == "Revert"]
    since, namespace = system.status.current_since, system.ref.namespace
    revision, _, not_reverted = await asyncio.gather(
        revisions.keep(objects, system, bad, live, leftovers.beside_now(spec.components, found)),
        keep(objects, system, way),
        leftovers.find(objects, namespace, spec.components, found, reverted, since, recorded),
    )
    return revision, not_reverted


def _never(rollback: RollbackEntry, reason: Reason, said: str) -> Made:
    """What cannot be planned ends: a person's request is denied, an automatic decision is abandoned."""
    return Made(denied=(reason, said)) if rollback.spec.type == "Manual" else Made(abandoned=said)


def _start_of(
    rollback: RollbackEntry, spec: ModelDeploymentSpec, system: SystemEntry, live: Values
) -> tuple[str, str] | Made:
    """Name and identity of what runs, unless it is not what was judged or named any more."""
    asked, identity, status = rollback.spec, identity_of(live), system.status
    name = status.current_version
    if not name or identity != status.current_digest:
        label = versions.first_model_label(spec, system.targets)
        name = versions.name_version(spec, status, shown(live), identity, label)
    named = asked.from_version is not None and asked.from_digest is None and asked.from_version != name
    if named or asked.from_digest not in (None, identity):
        return Made(superseded=f"what runs now is not {asked.from_version or 'what was named'} any more")
    return (asked.from_version or name, identity)


async def _target_of(
    objects: Objects,
    rollback: RollbackEntry,
    start: str,
    target: Target,
    spec: ModelDeploymentSpec,
    system: SystemEntry,
    now: datetime,
) -> candidates.Candidate | Made:
    """The version to put back: the one that was decided, or the one that a person's request comes to.

    `target`: the conditions of the procedure.
    """
    asked, status = rollback.spec, system.status
    if asked.type == "Manual" and asked.target_version == start:
        return Made(denied=(Reason.ALREADY_AT_TARGET, f"{start}: it is what runs now"))
    if asked.type == "Manual":
        choice = await _choose(objects, target, spec, system, now)
        if choice.candidate is None:
            reason = Reason.ARTIFACT_MISSING if choice.missing else Reason.NO_SAFE_TARGET
            said = (
                "this version cannot be put back"
                if asked.target_version
                else "there is no version to go back to"
            )
            return Made(denied=(reason, f"{said}: {choice.why}"))
        if asked.target_digest not in (None, choice.candidate.digest):
            said = f"{choice.candidate.version} is not the version of that digest any more"
            return Made(denied=(Reason.NO_SAFE_TARGET, said))
        return choice.candidate
    found = candidates.find(str(asked.target_version), str(asked.target_digest), spec, status)
    if found is None:
        return Made(abandoned=f"version {asked.target_version} is neither recorded nor declared any more.")
    quarantine = candidates.quarantine_of(found.version, found.digest, status.quarantined, now=now)
    if quarantine is not None:
        return Made(abandoned=f"{found.version} is in quarantine by {quarantine.rollback}.")
    return found


async def _choose(
    objects: Objects, target: Target, spec: ModelDeploymentSpec, system: SystemEntry, now: datetime
) -> candidates.Choice:
    """The first version that may be put back and has all it needs, as a breach would come to it."""
    missing: dict[str, str] = {}
    while True:
        choice = candidates.choose(target, spec, system.status, now=now, missing=missing)
        if choice.candidate is None:
            return choice
        lacks = await artifacts.find_missing(objects, system, choice.candidate)
        if not lacks:
            return choice
        missing[choice.candidate.version] = lacks


def _conditions(rollback: RollbackEntry, target: Target) -> Target:
    """What the policy asks of a target. A version that a person names is tried alone: no other is put back instead."""
    named = rollback.spec.target_version
    if rollback.spec.type != "Manual" or named is None:
        return target
    return target.model_copy(update={"strategy": "Pinned", "version": named, "fallbacks": []})


def _targets(
    first: candidates.Candidate,
    procedure: Procedure,
    spec: ModelDeploymentSpec,
    system: SystemEntry,
    now: datetime,
) -> tuple[PlannedTarget, ...]:
    """The first target, and those that may follow when its validation fails."""
    following: list[candidates.Candidate] = []
    if procedure.on_validation_failure == "NextTarget":
        ranked = candidates.rank(procedure.target, spec, system.status, now=now, tried=[first.version])
        following = [r.candidate for r in ranked if r.candidate is not None and not r.why_not]
    planned = (PlannedTarget(version=c.version, digest=c.digest) for c in (first, *following))
    return tuple(planned)[:MAX_TARGETS]


def _fields(
    rollback: RollbackEntry,
    start: tuple[str, str],
    targets: tuple[PlannedTarget, ...],
    way: Way,
    procedure: Procedure,
    now: datetime,
) -> dict[str, Any]:
    """The status fields of a plan. `way`: to the first of the targets."""
    evidence = rollback.handed_over
    timeline = {
        "breached_at": min((e.breaching_since for e in evidence), default=None),
        "detected_at": min((e.observed_at for e in evidence), default=now),
    }
    return {
        "observed_generation": rollback.generation,
        "from_version": start[0],
        "from_digest": start[1],
        "to_version": way.entry.version,
        "to_revision": way.entry.revision,
        "targets": (way.entry, *targets[1:]),
        "procedure": procedure,
        "steps": way.steps,
        "plan_hash": plan.plan_hash(targets, way.steps, procedure),
        "evidence": evidence,
        "timeline": rollback.status.timeline.model_copy(update=timeline),
    }
