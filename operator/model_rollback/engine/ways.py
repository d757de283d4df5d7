"""The way from what runs to one target: its full values, kept, and the steps that lead there."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.api.v1alpha1.policy_step import PolicyStep
from model_rollback.api.v1alpha1.rollback_record import PlannedTarget, Step
from model_rollback.core import candidates, images, plan
from model_rollback.core.artifacts import artifacts_of
from model_rollback.core.paths import PathError
from model_rollback.core.pins import PinValues, Values, declare_over, identity_of, show_all, shown
from model_rollback.core.versions import find_recorded, with_alias
from model_rollback.engine import artifacts, revisions
from model_rollback.engine.held import write_status
from model_rollback.engine.reading import read_pins
from model_rollback.engine.store import SystemEntry
from model_rollback.errors import Forbidden, Invalid, NotFound, Refused
from model_rollback.ports import Object, Objects


@dataclass(frozen=True, slots=True)
class Way:
    """What leads to one target.

    Attributes:
        entry: its entry in `status.targets`. values: what it puts there.
        kept: whether these values were read just now from where they are kept.
    """

    entry: PlannedTarget
    steps: tuple[Step, ...]
    values: Values
    kept: bool = False


@dataclass(frozen=True, slots=True)
class NoWay:
    """Why a target cannot be put back. `there_already`: because it is what runs."""

    why: str
    there_already: bool = False


class Dry(Protocol):
    """Tries a write without making it."""

    def remember(self, found: Mapping[str, Object]) -> None:
        """Component → its target, as it was read just now."""

    async def dry_run(self, component: Component, wanted: PinValues) -> Object:
        """What the component's target would be; raises ClusterError and PathError."""


async def way_to(
    objects: Objects,
    writer: Dry,
    system: SystemEntry,
    target: candidates.Candidate,
    live: Values,
    *,
    attempt: int,
    listed: Sequence[PolicyStep],
) -> Way | NoWay:
    """The steps from what runs to a target; its values are still to be kept (`keep`).

    Raises:
        ClusterError: the API server could not be asked; nothing was written to a target.
    """
    if system.spec is None:
        return NoWay(f"{system.ref} is invalid: {system.problem}.")
    recorded = find_recorded(system.status, target.digest)
    wanted = await _wanted(objects, system, target, live)
    if isinstance(wanted, NoWay):
        return wanted
    if not target.revision:
        wanted = await _canonical(writer, system, live, wanted)
    elif recorded is not None:
        wanted = images.restored(system.spec, wanted, live, recorded.images)
    steps = plan.make_steps(
        system.spec.components, shown(live), shown(wanted), attempt=attempt, listed=listed
    )
    if len(steps) == 1:
        return NoWay(f"{target.version} is what runs now already", there_already=True)
    await _name_alike(objects, system, target, identity_of(wanted))
    entry = PlannedTarget(
        version=target.version,
        last_seen=recorded.last_seen if recorded is not None else None,
        digest=identity_of(wanted),
        attempt=attempt,
        artifacts=await artifacts.ask(objects, system.ref.namespace, artifacts_of(target, system.spec)),
        revision=revisions.name_of(system, wanted),
        served=plan.served_version(system.spec, wanted, target.version),
    )
    return Way(entry, steps, wanted, kept=entry.revision == target.revision)


async def keep(objects: Objects, system: SystemEntry, way: Way) -> None:
    """Makes sure that the values of a way's target are kept; raises ClusterError."""
    if not way.kept:
        await revisions.keep(objects, system, way.entry.version, way.values)


async def _name_alike(
    objects: Objects, system: SystemEntry, target: candidates.Candidate, identity: str
) -> None:
    """A recorded version stays itself when its images are put back by digest."""

    def change(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        recorded = find_recorded(status, target.digest) if target.revision else None
        if recorded is None or recorded.is_of(identity):
            return status
        return with_alias(status, recorded, identity)

    # Whoever deleted the ModelDeployment ends the Rollback, and is noticed elsewhere.
    with contextlib.suppress(NotFound):
        await write_status(objects, system, change)


async def _canonical(writer: Dry, system: SystemEntry, live: Values, wanted: Values) -> Values:
    """Declared values as the API server would store them: `cpu: 0.1` becomes `100m`, and must be recognised later.

    What it refuses stays as it is: the preflight says so.
    """
    found = dict(wanted)
    for component in system.spec.components if system.spec is not None else []:
        name = component.name
        if name not in wanted or show_all(wanted[name]) == show_all(live[name]):
            continue
        with contextlib.suppress(PathError, Forbidden, Invalid, Refused, NotFound):
            found[name] = read_pins(component, await writer.dry_run(component, wanted[name]))
    return found


async def _wanted(
    objects: Objects, system: SystemEntry, target: candidates.Candidate, live: Values
) -> Values | NoWay:
    """The target's full values; what it does not name stays as it is."""
    if not target.revision:
        return {c: declare_over(live[c], target.values.get(c, {})) for c in live}
    try:
        stored = await revisions.load(objects, system.ref.namespace, target.revision)
    except NotFound as error:
        return NoWay(f"the values of {target.version} are gone: {error}.")
    if identity_of(stored) != target.digest:
        return NoWay(f"what is kept as {target.version} is not what was recorded; it was not made by us.")
    return {c: pins for c, pins in stored.items() if c in live}
