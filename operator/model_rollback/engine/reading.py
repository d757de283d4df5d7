"""Reads the targets of a ModelDeployment from the API server, and their pins."""

from collections.abc import Mapping

from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.core.kinds import type_of
from model_rollback.core.paths import PathError
from model_rollback.core.pins import PinValues, Values, read
from model_rollback.engine.store import SystemEntry
from model_rollback.engine.targets import ref_of
from model_rollback.errors import NotFound
from model_rollback.ports import Object, Objects


def read_pins(component: Component, obj: Object) -> PinValues:
    """A component's full pin values in an object; raises PathError."""
    return read(type_of(component), obj)


async def read_values(objects: Objects, entry: SystemEntry) -> Values | None:
    """Every component's pins, read from the API server now; None when a target or pin is missing."""
    found = await read_targets(objects, entry)
    return pins_of(entry.spec, found) if found is not None and entry.spec is not None else None


async def read_targets(objects: Objects, entry: SystemEntry) -> dict[str, Object] | None:
    """Component → its target, read from the API server now; None when one is missing."""
    found = {}
    for component in entry.spec.components if entry.spec else []:
        try:
            found[component.name] = await objects.get(ref_of(entry.ref.namespace, component))
        except NotFound:
            return None
    return found


def pins_of(spec: ModelDeploymentSpec, found: Mapping[str, Object]) -> Values | None:
    """Every component's pins in those targets; None when one is missing."""
    try:
        return {c.name: read_pins(c, found[c.name]) for c in spec.components}
    except PathError:
        return None
