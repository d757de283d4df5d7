"""A tag that has moved: the pins are the same and the bits are not, which makes a new version of the same pins.

What ran keeps its name, its time and whether it is Verified, under the identity that it has by digest: so it can be put
back. The pins as they are written are the new version's, because they bring its bits (docs/decisions/0010).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.model_deployment_status import (
    ComponentStatus,
    ModelDeploymentStatus,
    RecordedVersion,
)
from model_rollback.core.images import Images, Look, in_words
from model_rollback.core.live import LiveTarget
from model_rollback.core.pins import Values, digest, identity_of, shown
from model_rollback.core.versions import (
    Shown,
    find_recorded,
    first_model_label,
    matches,
    pin_values,
    with_history,
)


def kept_by_digest(old: RecordedVersion, values: Values, revision: str) -> RecordedVersion:
    """The version that ran, by the digests of its images: `values`, which `revision` keeps."""
    return old.model_copy(
        update={
            "digest": identity_of(values),
            "aliases": (),
            "revision": revision,
            "values": pin_values(shown(values)),
        }
    )


def lost(old: RecordedVersion, gone: Images, why: str) -> RecordedVersion:
    """The version that ran, whose bits nothing can bring back."""
    identity = digest([old.digest, [[i.component, i.container, i.image_id] for i in gone]])
    said = f"its tag moved, and what it ran is gone ({why}): {in_words(gone)}"
    return old.model_copy(update={"digest": identity, "aliases": (), "unavailable": said[:1024]})


def move_on(
    spec: ModelDeploymentSpec,
    status: ModelDeploymentStatus,
    live: Sequence[LiveTarget],
    kept: RecordedVersion,
    seen: Look,
    *,
    now: datetime,
) -> ModelDeploymentStatus:
    """The status once what is live is another version with the pins of the one before; it is not recorded yet.

    `kept`: the version before, as `kept_by_digest` or `lost` gives it. Its quarantine goes with its bits.
    """
    before = status.current_digest
    ended = kept.model_copy(update={"last_seen": kept.last_seen or now})
    history = tuple(ended if v.is_of(before) else v for v in status.history)
    quarantined = tuple(
        q.model_copy(update={"digest": kept.digest}) if q.digest == before else q for q in status.quarantined
    )
    shown = {t.component: dict(t.pins or {}) for t in live}
    name = _name(spec, status, shown, first_model_label(spec, live), seen)
    update: dict[str, object] = {
        "quarantined": quarantined,
        "current_version": name,
        "current_since": now,
        "current_by": "",
        "episode": status.episode + 1,
    }
    return with_history(status.model_copy(update=update), history)


def _name(
    spec: ModelDeploymentSpec, status: ModelDeploymentStatus, shown: Shown, label: str, seen: Look
) -> str:
    """What its pins are called, and some digits of its images."""
    identity = digest(
        [status.current_digest, sorted([i.component, i.container, i.image_id] for i in seen.images)]
    )
    base = next((v.name for v in spec.versions if matches(v, shown)), label)
    return f"{base[:58]}-{identity[:4]}" if base else f"auto-{identity[:8]}"


def with_images(
    status: ModelDeploymentStatus, seen: Look, read_at: Mapping[str, str]
) -> ModelDeploymentStatus:
    """`status.components` with the images of their pods. `read_at`: component → resourceVersion of its target."""

    def told(component: ComponentStatus) -> ComponentStatus:
        if component.name not in read_at:
            return component
        ids = seen.shown.get(component.name, {})
        observed = tuple(p.model_copy(update={"image_id": ids.get(p.pin, "")}) for p in component.observed)
        return component.model_copy(update={"observed": observed, "pods_seen": read_at[component.name]})

    return status.model_copy(update={"components": tuple(told(c) for c in status.components)})


def move_in_words(status: ModelDeploymentStatus) -> str:
    """Which tags moved to make the live version what it is; empty when none did."""
    live = find_recorded(status, status.current_digest)
    if live is None or not live.moved_from:
        return ""
    before = next((v for v in status.history if v.version == live.moved_from), None)
    said = f"{live.version} has the pins of {live.moved_from}, but a tag in them means other bits now"
    if before is None:
        return said
    was = {(i.component, i.container): i.image_id for i in before.images}
    changed = [
        f"{i.component}/{i.container} ran {was[i.component, i.container]} and runs {i.image_id}"
        for i in live.images
        if was.get((i.component, i.container), i.image_id) != i.image_id
    ]
    back = before.unavailable or f"{before.version} is put back by digest"
    return f"{said}: {'; '.join(changed)}. {back}" if changed else said
