"""Makes the plan of one Rollback from what runs now, and keeps both versions whole before anything is touched."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model_rollback.api.v1alpha1.rollback import Procedure, Step
from model_rollback.core import candidates, plan
from model_rollback.core.pins import Values, show_all, version_digest
from model_rollback.engine import revisions
from model_rollback.engine.store import PolicyEntry, RollbackEntry, SystemEntry
from model_rollback.engine.tracker import read_values
from model_rollback.errors import NotFound
from model_rollback.ports import Objects


@dataclass(frozen=True, slots=True)
class Made:
    """Either the status fields of a plan, or why there is none."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    superseded: str = ""
    abandoned: str = ""


async def live_digest(objects: Objects, system: SystemEntry) -> str | None:
    """The identity of what runs now, read from the API server; None when a target is missing."""
    values = await read_values(objects, system)
    return _digest(values) if values is not None else None


def _digest(values: Values) -> str:
    return version_digest({component: show_all(pins) for component, pins in values.items()})


async def make(
    objects: Objects,
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
    spec = rollback.spec
    if system.spec is None:
        return Made(abandoned=f"{system.ref} is invalid: {system.problem}.")
    if policy is None or policy.spec is None:
        return Made(
            abandoned=f"RollbackPolicy {spec.policy_ref.name} is gone or invalid, and there was no plan yet."
        )
    live = await read_values(objects, system)
    if live is None:
        return Made(abandoned="a target disappeared before the plan was made.")
    if _digest(live) != spec.from_digest:
        return Made(superseded=f"what runs now is not {spec.from_version} any more")
    target = candidates.find(spec.target_version, spec.target_digest, system.spec, system.status)
    if target is None:
        return Made(abandoned=f"version {spec.target_version} is neither recorded nor declared any more.")
    quarantine = candidates.quarantine_of(target.version, target.digest, system.status.quarantined, now=now)
    if quarantine is not None:
        return Made(abandoned=f"{target.version} is in quarantine by {quarantine.rollback}.")
    try:
        wanted = await _wanted(objects, system, target, live)
    except NotFound as error:
        return Made(abandoned=f"the values of {target.version} are gone: {error}.")
    if wanted is None:
        return Made(
            abandoned=f"what is kept as {target.version} is not what was recorded; it was not made by us."
        )
    steps = plan.make_steps(system.spec.components, _shown(live), _shown(wanted))
    if len(steps) == 1:
        return Made(superseded=f"{target.version} is what runs now already")
    served = plan.served_version(system.spec, wanted, target.version)
    procedure = plan.resolve_procedure(policy.spec, [e.trigger for e in rollback.handed_over], served)
    revisions_kept = {
        "from_revision": await revisions.keep(objects, system, spec.from_version, live),
        "to_revision": await revisions.keep(objects, system, target.version, wanted),
    }
    return Made(revisions_kept | _fields(rollback, target.version, steps, procedure, now))


def _shown(values: Values) -> dict[str, dict[str, str]]:
    return {component: show_all(pins) for component, pins in values.items()}


def _fields(
    rollback: RollbackEntry, to_version: str, steps: tuple[Step, ...], procedure: Procedure, now: datetime
) -> dict[str, Any]:
    """The status fields of a plan."""
    evidence = rollback.handed_over
    timeline = {
        "breached_at": min((e.breaching_since for e in evidence), default=None),
        "detected_at": min((e.observed_at for e in evidence), default=now),
    }
    return {
        "observed_generation": rollback.generation,
        "from_version": rollback.spec.from_version,
        "to_version": to_version,
        "procedure": procedure,
        "steps": steps,
        "plan_hash": plan.plan_hash(to_version, steps, procedure),
        "evidence": evidence,
        "timeline": rollback.status.timeline.model_copy(update=timeline),
    }


async def _wanted(
    objects: Objects, system: SystemEntry, target: candidates.Candidate, live: Values
) -> Values | None:
    """The target's full values; what it does not name stays as it is. None: they do not match the record."""
    if target.revision:
        stored = await revisions.load(objects, system.ref.namespace, target.revision)
        if _digest(stored) != target.digest:
            return None
        return {c: pins for c, pins in stored.items() if c in live}
    return {c: {**live[c], **target.values.get(c, {})} for c in live}
