"""What one target runs now: its pins and whether that is rolled out, read from the object alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model_rollback.api.group import LABEL_APP_VERSION
from model_rollback.api.v1alpha1.component import Component
from model_rollback.core.kinds import TargetType, type_of
from model_rollback.core.ownership import external_manager
from model_rollback.core.paths import PathError
from model_rollback.core.pins import last_write, read, show_all
from model_rollback.core.readiness import NOT_SEEN, Readiness, holds, judge, text_at


@dataclass(frozen=True, slots=True)
class LiveTarget:
    """One component as it was last seen. Holds digests, not objects.

    Attributes:
        pins: pin name → shown value; empty when the object or a pin is missing.
        problem: why there are no pins; empty when all is well.
        missing: whether the object itself is not there.
        paused: whether its own controller rolls nothing out at the moment, by the field that its kind names.
        managed_by: who writes it from elsewhere, see `core.ownership`; empty without one.
        changed_at: when we first saw these pins.
        ready_at: when we first saw it ready since it was not, or since the pins changed; None while it is not.
        resource_version: of the object as read; a later look never gives way to an older one.
    """

    component: str
    uid: str = ""
    pins: Mapping[str, str] | None = None
    problem: str = ""
    missing: bool = False
    app_version: str = ""
    readiness: Readiness = NOT_SEEN
    scaled_to_zero: bool = False
    paused: bool = False
    managed_by: str = ""
    last_write: str = ""
    changed_at: datetime | None = None
    ready_at: datetime | None = None
    resource_version: str = field(default="", compare=False)


def observe(component: Component, obj: Mapping[str, Any]) -> LiveTarget:
    """Reads a target. Total: an object without the pin gives a LiveTarget with a problem."""
    metadata, kind = obj["metadata"], type_of(component)
    try:
        pins: dict[str, str] | None = show_all(read(kind, obj))
        problem = ""
    except PathError as error:
        pins, problem = None, str(error)
    return LiveTarget(
        component=component.name,
        uid=metadata["uid"],
        pins=pins,
        problem=problem,
        app_version=_app_version(kind, obj),
        readiness=judge(kind.readiness, obj),
        scaled_to_zero=(obj.get("spec") or {}).get("replicas") == 0,
        paused=holds(kind.paused, obj),
        managed_by=external_manager(obj),
        last_write=last_write(obj),
        resource_version=str(metadata.get("resourceVersion", "")),
    )


def _app_version(kind: TargetType, obj: Mapping[str, Any]) -> str:
    """The label of the pod template; without a template, of the object itself."""
    path = f"{kind.pod_template}.metadata" if kind.pod_template else "metadata"
    return text_at(f'{path}.labels["{LABEL_APP_VERSION}"]', obj) or ""
