"""The images behind a version: what its pods run, whether a tag has moved to other bits, and how the bits come back.

A tag is a name that its registry may give to other bits at any time; the pods' `imageID` says which bits it was. Of
pods that nobody can be sure of, or that differ, nothing is claimed.
"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.images import RunningImage
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.core.kinds import type_of
from model_rollback.core.pins import PinValues, Values, show_all

_KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet")
_LISTS: Final = ("initContainers", "containers")
_PULLED: Final = re.compile(r"^[^@\s]+@(sha256:[0-9a-f]{64})$")
_SELECTED: Final = re.compile(r"[.]spec[.](?:initContainers|containers)\[name=([^\]]+)\][.]image$")

Object = Mapping[str, Any]
Images = Sequence[RunningImage]


@dataclass(frozen=True, slots=True)
class Slot:
    """One image in a component's pin values, as it is written there. `first`: that of the pod's first container."""

    pin: str
    container: str
    image: str
    first: bool = True

    @property
    def is_by_digest(self) -> bool:
        """Whether it names its bits, so that it can never mean others."""
        return "@" in self.image


def has_pods(component: Component) -> bool:
    """Whether its version has images, and its pods can be told from those of others."""
    ref = component.target_ref
    if ref.api_version != "apps/v1" or ref.kind not in _KINDS:
        return False
    kind = type_of(component)
    return any(pin.is_pod_template or _container_of(pin.path, kind.pod_template) for pin in kind.pins)


def slots(component: Component, values: PinValues) -> Iterator[Slot]:
    """The images in the pin values of a component, those of a pod template with the init containers first."""
    kind = type_of(component)
    for pin in kind.pins:
        value = values.get(pin.name)
        name = _container_of(pin.path, kind.pod_template)
        if name and isinstance(value, str):
            yield Slot(pin.name, name, value)
        elif pin.is_pod_template and isinstance(value, Mapping):
            first = next(iter((value.get("spec") or {}).get("containers") or ()), None)
            for container in _containers(value):
                if isinstance(container.get("image"), str):
                    name = str(container.get("name", ""))
                    yield Slot(pin.name, name, container["image"], first=container is first)


def _container_of(path: str, template: str) -> str:
    found = _SELECTED.search(path) if template and path.startswith(template) else None
    return found[1] if found and path == f"{template}{found[0]}" else ""


def _containers(template: Object) -> Iterator[Any]:
    spec = template.get("spec") or {}
    for place in _LISTS:
        yield from spec.get(place) or ()


def running(target: Object, pods: Sequence[Object]) -> dict[str, str]:
    """Container → the imageID that every pod of `target` reports. A container without one, or with two, is left out.

    Args:
        pods: what the target's selector selects; those of other owners, and those that are ending or have ended, do
            not count.
    """
    mine = [pod for pod in pods if _is_of(target, pod)]
    found: dict[str, set[str]] = {}
    for pod in mine:
        status = pod.get("status") or {}
        for container in (
            *(status.get("initContainerStatuses") or ()),
            *(status.get("containerStatuses") or ()),
        ):
            found.setdefault(str(container.get("name", "")), set()).add(_plain(container.get("imageID")))
    return {name: ids.pop() for name, ids in found.items() if len(ids) == 1 and "" not in ids}


def _plain(image_id: Any) -> str:
    """Docker wrote the protocol before it: `docker-pullable://…`."""
    return str(image_id or "").rpartition("://")[2][:512]


def _is_of(target: Object, pod: Object) -> bool:
    metadata = pod["metadata"]
    phase = (pod.get("status") or {}).get("phase")
    if metadata.get("deletionTimestamp") or phase in ("Failed", "Succeeded"):
        return False
    owners = [o for o in metadata.get("ownerReferences") or () if o.get("controller")]
    owner: Object = owners[0] if owners else {}
    if target["kind"] != "Deployment":
        return bool(owner.get("uid") == target["metadata"]["uid"])
    hashed = (metadata.get("labels") or {}).get("pod-template-hash", "")
    name = f"{target['metadata']['name']}-{hashed}"
    return (owner.get("kind"), owner.get("name")) == ("ReplicaSet", name)


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of the pods of a whole version.

    Attributes:
        images: of every container that its pins name.
        tagged: those of them that are written without a digest, so that they may move.
        shown: component → pin → imageID, as `status.components` shows it.
    """

    images: tuple[RunningImage, ...] = ()
    tagged: tuple[RunningImage, ...] = ()
    shown: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def look(spec: ModelDeploymentSpec, values: Values, ids: Mapping[str, Mapping[str, str]]) -> Look:
    """Puts together what the pods of each component run. `ids`: component → container → imageID, as from `running`."""
    images: list[RunningImage] = []
    tagged: list[RunningImage] = []
    shown: dict[str, dict[str, str]] = {}
    for component in spec.components:
        mine = ids.get(component.name, {})
        for slot in slots(component, values.get(component.name, {})) if mine else ():
            if slot.container not in mine:
                continue
            image = RunningImage(
                component=component.name, container=slot.container, image_id=mine[slot.container]
            )
            images.append(image)
            tagged += [] if slot.is_by_digest else [image]
            if slot.first:
                shown.setdefault(component.name, {})[slot.pin] = image.image_id
    return Look(tuple(images), tuple(tagged), shown)


def digest_of(image_id: str) -> str:
    """The digest by which a registry gives the same bits: `sha256:…`; empty for an image that no registry names."""
    found = _PULLED.match(image_id)
    return found[1] if found else ""


def moved(before: Images, now: Images) -> tuple[RunningImage, ...]:
    """Those of `before` that are other bits now. What is not known at either time has not moved.

    A node that pulled an image reports a registry's digest, and one that was given it a digest of its own: the two
    kinds say nothing of each other.
    """
    newest = {(i.component, i.container): i.image_id for i in now}
    return tuple(
        old
        for old in before
        if (new := newest.get((old.component, old.container), "")) and _differ(old.image_id, new)
    )


def _differ(before: str, now: str) -> bool:
    old, new = digest_of(before), digest_of(now)
    if bool(old) != bool(new):
        return False
    return old != new if old else before != now


def by_digest(
    spec: ModelDeploymentSpec, values: Values, images: Images
) -> tuple[Values, tuple[RunningImage, ...]]:
    """The values with those images named by digest, the tag kept for people; and the images that could not be.

    An image that no registry names cannot be; one that names its bits already needs nothing.
    """
    wanted = {(i.component, i.container): i for i in images}
    done: dict[str, PinValues] = {}
    lost: list[RunningImage] = []
    for component in spec.components:
        pins = values.get(component.name)
        if pins is None:
            continue
        named = {}
        for slot in slots(component, pins):
            image = wanted.get((component.name, slot.container))
            if image is None or slot.is_by_digest:
                continue
            if digest_of(image.image_id):
                named[slot.container] = digest_of(image.image_id)
            else:
                lost.append(image)
        done[component.name] = _with_digests(component, pins, named)
    return {**values, **done}, tuple(lost)


def _with_digests(component: Component, pins: PinValues, digests: Mapping[str, str]) -> PinValues:
    if not digests:
        return pins
    changed = dict(pins)
    for slot in slots(component, pins):
        if slot.container not in digests or slot.is_by_digest:
            continue
        image = f"{slot.image}@{digests[slot.container]}"
        if isinstance(pins[slot.pin], str):
            changed[slot.pin] = image
            continue
        template = (
            changed[slot.pin] if changed[slot.pin] is not pins[slot.pin] else copy.deepcopy(pins[slot.pin])
        )
        for container in _containers(template):
            if container.get("name") == slot.container:
                container["image"] = image
        changed[slot.pin] = template
    return changed


def restored(spec: ModelDeploymentSpec, kept: Values, live: Values, images: Images) -> Values:
    """A recorded version as it is put back: in the components that differ from what runs, its images by digest."""
    if spec.versioning.images == "AsWritten":
        return kept
    differing = {c for c, pins in kept.items() if show_all(pins) != show_all(live.get(c, {}))}
    return by_digest(spec, kept, [i for i in images if i.component in differing])[0]


def in_words(images: Images) -> str:
    """Which containers of which components, and what they ran."""
    return ", ".join(f"{i.component}/{i.container} {i.image_id}" for i in images)
