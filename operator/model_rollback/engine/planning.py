"""Makes the plan of one Rollback from what runs now, and keeps both versions whole before anything is touched."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model_rollback.api.v1alpha1.rollback import MAX_TARGETS, PlannedTarget, Procedure, Step
from model_rollback.core import candidates, machine, plan
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
    procedure = plan.resolve_procedure(policy.spec, [e.trigger for e in rollback.handed_over])
    targets: tuple[PlannedTarget, ...] = (PlannedTarget(version=target.version, digest=target.digest),)
    if procedure.on_validation_failure == "NextTarget":
        ranked = candidates.rank(
            procedure.target, system.spec, system.status, now=now, tried=[target.version]
        )
        others = [r.candidate for r in ranked if r.candidate is not None and not r.why_not]
        targets += tuple(PlannedTarget(version=c.version, digest=c.digest) for c in others)
    way = await _way(objects, system, target, live, attempt=1)
    if isinstance(way, Made):
        return way
    revisions_kept = {"from_revision": await revisions.keep(objects, system, spec.from_version, live)}
    fields = _fields(rollback, targets[:MAX_TARGETS], way, procedure, now)
    return Made(revisions_kept | fields)


@dataclass(frozen=True, slots=True)
class Way:
    """What leads to one target. `entry`: its entry in `status.targets`."""

    entry: PlannedTarget
    steps: tuple[Step, ...]


async def _way(
    objects: Objects, system: SystemEntry, target: candidates.Candidate, live: Values, *, attempt: int
) -> Way | Made:
    """The steps from what runs to a target, its values kept. Made: why there are none."""
    if system.spec is None:
        return Made(abandoned=f"{system.ref} is invalid: {system.problem}.")
    try:
        wanted = await _wanted(objects, system, target, live)
    except NotFound as error:
        return Made(abandoned=f"the values of {target.version} are gone: {error}.")
    if wanted is None:
        return Made(
            abandoned=f"what is kept as {target.version} is not what was recorded; it was not made by us."
        )
    steps = plan.make_steps(system.spec.components, _shown(live), _shown(wanted), attempt=attempt)
    if len(steps) == 1:
        return Made(superseded=f"{target.version} is what runs now already")
    entry = PlannedTarget(
        version=target.version,
        digest=target.digest,
        attempt=attempt,
        revision=await revisions.keep(objects, system, target.version, wanted),
        served=plan.served_version(system.spec, wanted, target.version),
    )
    return Way(entry, steps)


@dataclass(frozen=True, slots=True)
class Next:
    """The way to the next target as status fields and steps; without steps none is left, and `why` says so."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    superseded: str = ""
    why: str = ""


async def next_target(
    objects: Objects, system: SystemEntry, rollback: RollbackEntry, message: str, *, now: datetime
) -> Next:
    """The next version of the plan that may still be put back, judged by the procedure as it was resolved.

    Raises:
        ClusterError: the API server could not be asked; nothing was written to a target.
    """
    status = rollback.status
    if system.spec is None or status.procedure is None:
        return Next(why=f"{system.ref} is invalid: {system.problem}")
    live = await read_values(objects, system)
    if live is None or _digest(live) != rollback.to_digest:
        return Next(superseded=f"what runs now is not {status.to_version} any more")
    tried = [t.version for t in machine.tried(status)]
    ranked = candidates.rank(status.procedure.target, system.spec, system.status, now=now, tried=tried)
    may = {r.version: r for r in ranked}
    targets = [
        t.model_copy(update={"message": message[:1024]}) if t.version == status.to_version else t
        for t in status.targets
    ]
    for index, planned in enumerate(targets):
        if planned.attempt or planned.message:
            continue
        way = await _way_to_planned(objects, system, planned, may.get(planned.version), live, len(tried) + 1)
        if isinstance(way, Way):
            targets[index] = way.entry
            fields = {
                "targets": tuple(targets),
                "to_version": way.entry.version,
                "to_revision": way.entry.revision,
            }
            return Next(fields, way.steps)
        targets[index] = planned.model_copy(update={"message": way[:1024]})
    passed_over = [f"{t.version}: {t.message}" for t in targets if not t.attempt]
    return Next(why="; ".join(["no other target is left", *passed_over]))


async def _way_to_planned(
    objects: Objects,
    system: SystemEntry,
    planned: PlannedTarget,
    ranked: candidates.Ranked | None,
    live: Values,
    attempt: int,
) -> Way | str:
    """The way to a target whose turn has come, or why it is passed over."""
    if ranked is None or ranked.candidate is None:
        return "neither recorded nor declared any more"
    if ranked.why_not:
        return ranked.why_not
    if ranked.candidate.revision and ranked.candidate.digest != planned.digest:
        return "another version has its name now"
    way = await _way(objects, system, ranked.candidate, live, attempt=attempt)
    return way if isinstance(way, Way) else way.abandoned or way.superseded


def _shown(values: Values) -> dict[str, dict[str, str]]:
    return {component: show_all(pins) for component, pins in values.items()}


def _fields(
    rollback: RollbackEntry,
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
        "from_version": rollback.spec.from_version,
        "to_version": way.entry.version,
        "to_revision": way.entry.revision,
        "targets": (way.entry, *targets[1:]),
        "procedure": procedure,
        "steps": way.steps,
        "plan_hash": plan.plan_hash(targets, way.steps, procedure),
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
