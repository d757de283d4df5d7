"""The next version of a plan, when the one that was put back did not pass its validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model_rollback.api.v1alpha1.policy_step import PolicyStep
from model_rollback.api.v1alpha1.rollback_record import PlannedTarget, RollbackStatus, Step
from model_rollback.core import candidates, machine
from model_rollback.core.pins import Values, identity_of
from model_rollback.engine.reading import read_values
from model_rollback.engine.store import RollbackEntry, SystemEntry
from model_rollback.engine.ways import Dry, NoWay, Way, keep, way_to
from model_rollback.ports import Objects


@dataclass(frozen=True, slots=True)
class Next:
    """The way to the next target as status fields and steps; without steps none is left, and `why` says so."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    superseded: str = ""
    why: str = ""


async def next_target(
    objects: Objects,
    writer: Dry,
    system: SystemEntry,
    rollback: RollbackEntry,
    message: str,
    *,
    now: datetime,
) -> Next:
    """The next version of the plan that may still be put back, judged by the procedure as it was resolved.

    Raises:
        ClusterError: the API server could not be asked; nothing was written to a target.
    """
    status = rollback.status
    if system.spec is None or status.procedure is None:
        return Next(why=f"{system.ref} is invalid: {system.problem}")
    live = await read_values(objects, system)
    if live is None or identity_of(live) != rollback.to_digest:
        return Next(superseded=f"what runs now is not {status.to_version} any more")
    tried = [t.version for t in machine.tried(status)]
    ranked = candidates.rank(status.procedure.target, system.spec, system.status, now=now, tried=tried)
    may = {r.version: r for r in ranked}
    attempt, listed = len(tried) + 1, status.procedure.steps
    targets = _given_up(status, message)
    for index, planned in enumerate(targets):
        if planned.attempt or planned.message:
            continue
        ranked_now = may.get(planned.version)
        way = await _way_to_planned(objects, writer, system, planned, ranked_now, live, attempt, listed)
        if isinstance(way, Way):
            targets[index] = way.entry
            fields = {"to_version": way.entry.version, "to_revision": way.entry.revision}
            return Next({**fields, "targets": tuple(targets)}, way.steps)
        targets[index] = planned.model_copy(update={"message": way[:1024]})
    passed_over = [f"{t.version}: {t.message}" for t in targets if not t.attempt]
    return Next(why="; ".join(["no other target is left", *passed_over]))


def _given_up(status: RollbackStatus, message: str) -> list[PlannedTarget]:
    """The targets of the plan; the one that was put back last is given up, and `message` says why."""
    said = {"message": message[:1024]}
    return [t.model_copy(update=said) if t.version == status.to_version else t for t in status.targets]


async def _way_to_planned(
    objects: Objects,
    writer: Dry,
    system: SystemEntry,
    planned: PlannedTarget,
    ranked: candidates.Ranked | None,
    live: Values,
    attempt: int,
    listed: Sequence[PolicyStep],
) -> Way | str:
    """The way to a target whose turn has come, or why it is passed over."""
    if ranked is None or ranked.candidate is None:
        return "neither recorded nor declared any more"
    if ranked.why_not:
        return ranked.why_not
    if ranked.candidate.revision and ranked.candidate.digest != planned.digest:
        return "another version has its name now"
    way = await way_to(objects, writer, system, ranked.candidate, live, attempt=attempt, listed=listed)
    if isinstance(way, NoWay):
        return way.why
    await keep(objects, system, way)
    return way
