"""What one target runs now: its pins and whether that is rolled out, read from the object alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model_rollback.api.group import LABEL_APP_VERSION
from model_rollback.api.v1alpha1.model_deployment import Component
from model_rollback.core.ownership import external_manager
from model_rollback.core.paths import PathError
from model_rollback.core.pins import last_write, read, show_all
from model_rollback.presets import TargetPreset


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the newest spec is rolled out.

    Attributes:
        failed: the kind's own controller has given up waiting.
        failed_at: when it said so (seconds); a verdict that is older than a write does not speak of it.
    """

    ready: bool
    message: str = ""
    failed: bool = False
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LiveTarget:
    """One component as it was last seen. Holds digests, not objects.

    Attributes:
        pins: pin name → shown value; empty when the object or a pin is missing.
        problem: why there are no pins; empty when all is well.
        missing: whether the object itself is not there.
        paused: whether its own controller rolls nothing out at the moment (`spec.paused`).
        managed_by: who writes it from elsewhere, see `core.ownership`; empty without one.
        changed_at: when we first saw these pins.
        resource_version: of the object as read; a later look never gives way to an older one.
    """

    component: str
    uid: str = ""
    pins: Mapping[str, str] | None = None
    problem: str = ""
    missing: bool = False
    app_version: str = ""
    readiness: Readiness = Readiness(ready=False, message="not seen yet")
    scaled_to_zero: bool = False
    paused: bool = False
    managed_by: str = ""
    last_write: str = ""
    changed_at: datetime | None = None
    resource_version: str = field(default="", compare=False)


def observe(component: Component, preset: TargetPreset, obj: Mapping[str, Any]) -> LiveTarget:
    """Reads a target. Total: an object without the pin gives a LiveTarget with a problem."""
    metadata = obj["metadata"]
    try:
        pins: dict[str, str] | None = show_all(read(component, preset, obj))
        problem = ""
    except PathError as error:
        pins, problem = None, str(error)
    template = obj.get("spec", {}).get("template", {}) or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    return LiveTarget(
        component=component.name,
        uid=metadata["uid"],
        pins=pins,
        problem=problem,
        app_version=str(labels.get(LABEL_APP_VERSION, "")),
        readiness=workload_readiness(obj),
        scaled_to_zero=obj.get("spec", {}).get("replicas") == 0,
        paused=obj.get("spec", {}).get("paused") is True,
        managed_by=external_manager(obj),
        last_write=last_write(obj),
        resource_version=str(metadata.get("resourceVersion", "")),
    )


def workload_readiness(obj: Mapping[str, Any]) -> Readiness:
    """The kstatus rule for Deployments: the *new* pods are there, alone and available.

    `Available=True` alone would speak of the old ReplicaSet while a rollout hangs.
    """
    status = obj.get("status") or {}
    generation = obj["metadata"].get("generation", 0)
    if status.get("observedGeneration", 0) < generation:
        return Readiness(ready=False, message="its controller has not seen the newest spec yet")
    progressing: Mapping[str, Any] = next(
        (c for c in status.get("conditions") or [] if c.get("type") == "Progressing"), {}
    )
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Readiness(
            ready=False,
            failed=True,
            failed_at=_time(progressing.get("lastUpdateTime")),
            message=f"progress deadline exceeded: {progressing.get('message', '')}",
        )
    wanted = obj.get("spec", {}).get("replicas", 1)
    updated, total, available = (
        status.get(key) or 0 for key in ("updatedReplicas", "replicas", "availableReplicas")
    )
    if updated < wanted:
        return Readiness(ready=False, message=f"{updated} of {wanted} replicas are updated")
    if total > updated:
        return Readiness(
            ready=False, message=f"{total - updated} replicas of the old version are still there"
        )
    if available < updated:
        return Readiness(ready=False, message=f"{available} of {updated} updated replicas are available")
    return Readiness(ready=True)


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None
