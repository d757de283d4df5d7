"""Versions of the whole system: which one is live, what it is called, when it becomes recorded and Verified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from model_rollback.api.conditions import truncate
from model_rollback.api.v1alpha1.images import RunningImage
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.model_deployment_status import (
    Author,
    ComponentStatus,
    ModelDeploymentStatus,
    ObservedPin,
    RecordedVersion,
)
from model_rollback.api.v1alpha1.versions import DeclaredVersion, PinValue
from model_rollback.core.live import LiveTarget
from model_rollback.core.pins import shown_as, version_digest

Shown = Mapping[str, Mapping[str, str]]
"""Component → pin → shown value."""

_ALIASES: Final = 8
_IMAGES: Final = 64


@dataclass(frozen=True, slots=True)
class LiveVersion:
    """What the components hold together.

    Attributes:
        shown: pins of all components; None while a target or a pin is missing.
        digest: its identity; empty while `shown` is None.
        mixed: some components changed lately and others hold the old version still.
        changed_at: when the newest of the pins appeared, as far as it is known.
        ready: every component is ready.
    """

    shown: Shown | None
    digest: str = ""
    mixed: bool = False
    changed_at: datetime | None = None
    ready: bool = False


def live_version(
    spec: ModelDeploymentSpec, status: ModelDeploymentStatus, live: Sequence[LiveTarget], *, now: datetime
) -> LiveVersion:
    """Puts the components together."""
    if any(target.pins is None for target in live):
        return LiveVersion(None)
    shown = {target.component: dict(target.pins or {}) for target in live}
    changed_at = max((t.changed_at for t in live if t.changed_at is not None), default=None)
    digest = version_digest(shown)
    mixed = (
        digest != status.current_digest
        and not _is_known(digest, spec, status, shown)
        and _is_mixture(spec, status, shown)
        and changed_at is not None
        and now - changed_at < spec.versioning.stabilize_for
    )
    ready = all(target.readiness.ready for target in live)
    return LiveVersion(shown, digest, mixed, changed_at, ready)


def _is_known(digest: str, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, shown: Shown) -> bool:
    return find_recorded(status, digest) is not None or any(matches(v, shown) for v in spec.versions)


def _is_mixture(spec: ModelDeploymentSpec, status: ModelDeploymentStatus, shown: Shown) -> bool:
    """Some components hold what the current version, recorded or declared, has, and some do not."""
    current = find_recorded(status, status.current_digest)
    whole = (v for v in spec.versions if _is_whole(v, shown))
    declared = next((v.values for v in whole if _digest_of(v, shown) == status.current_digest), ())
    old = {(p.component, p.pin): p.value for p in (current.values if current is not None else declared)}
    same = [
        all(
            shown_as(old[component, pin], value) == value
            for pin, value in pins.items()
            if (component, pin) in old
        )
        for component, pins in shown.items()
        if any((component, pin) in old for pin in pins)
    ]
    return any(same) and not all(same)


def _digest_of(declared: DeclaredVersion, shown: Shown) -> str:
    """The identity of a declared version that names every pin."""
    values: dict[str, dict[str, str]] = {}
    for p in declared.values:
        values.setdefault(p.component, {})[p.pin] = shown_as(p.value, shown[p.component][p.pin])
    return version_digest(values)


def _is_whole(declared: DeclaredVersion, shown: Shown) -> bool:
    """Whether it names every pin: a person who vouches for a part does not vouch for the rest."""
    named = {(p.component, p.pin) for p in declared.values}
    return named == {(component, pin) for component, pins in shown.items() for pin in pins}


def matches(declared: DeclaredVersion, shown: Shown) -> bool:
    """Whether every declared value is live."""
    live = ((p.value, shown.get(p.component, {}).get(p.pin)) for p in declared.values)
    return all(pin is not None and pin == shown_as(value, pin) for value, pin in live)


def name_version(
    spec: ModelDeploymentSpec, status: ModelDeploymentStatus, shown: Shown, digest: str, label: str
) -> str:
    """The declared version whose values match; else the known name of that digest; else the label; else
    `auto-<8 hex>`. A declared name or label that other values have already gets `-<4 hex>`."""
    seen: dict[str, str] = {status.current_version: status.current_digest} if status.current_version else {}
    seen |= {q.version: q.digest for q in status.quarantined}
    seen |= {v.version: v.digest for v in status.history}
    declared = next((v.name for v in spec.versions if matches(v, shown)), None)
    if declared is not None and seen.get(declared, digest) == digest:
        return declared
    recorded = find_recorded(status, digest)
    known = next((name for name, d in seen.items() if d == digest), None)
    if recorded is not None or known is not None:
        return recorded.version if recorded is not None else str(known)
    if declared is None and label in {v.name for v in spec.versions}:
        return f"{label[:58]}-{digest[:4]}"
    wanted = declared or label
    if not wanted:
        return f"auto-{digest[:8]}"
    return f"{wanted[:58]}-{digest[:4]}" if wanted in seen else wanted


def first_model_label(spec: ModelDeploymentSpec, live: Sequence[LiveTarget]) -> str:
    """`app.kubernetes.io/version` of the first Model component; empty without one."""
    first = next((c.name for c in spec.components if c.type == "Model"), None)
    return next((t.app_version for t in live if t.component == first), "")


def component_statuses(
    live: Sequence[LiveTarget], before: Sequence[ComponentStatus] = ()
) -> tuple[ComponentStatus, ...]:
    """What `status.components` says. What is known of the images stays, `before`, while the pins are the same."""
    known = {c.name: c for c in before}
    return tuple(_component_status(t, known.get(t.component)) for t in live)


def _component_status(target: LiveTarget, before: ComponentStatus | None) -> ComponentStatus:
    pins = dict(target.pins or {})
    same = before is not None and {p.pin: p.value for p in before.observed} == pins
    return ComponentStatus(
        name=target.component,
        observed=before.observed
        if before is not None and same
        else tuple(ObservedPin(pin=pin, value=value) for pin, value in pins.items()),
        ready="True" if target.readiness.ready else "False",
        message=truncate(target.problem or target.readiness.message),
        pods_seen=before.pods_seen if before is not None and same else "",
    )


def track(
    spec: ModelDeploymentSpec,
    status: ModelDeploymentStatus,
    live: Sequence[LiveTarget],
    *,
    now: datetime,
) -> ModelDeploymentStatus:
    """The status after looking: components, current version and episode. Recording is `record`, a step of its own.

    While the lock is held the episode does not grow: the Rollback's own writes are no new version.
    """
    version = live_version(spec, status, live, now=now)
    changes: dict[str, object] = {"components": component_statuses(live, status.components)}
    if version.shown is not None and version.mixed:
        changes["current_version"] = ""
    elif version.shown is not None and version.digest != status.current_digest:
        name = name_version(spec, status, version.shown, version.digest, first_model_label(spec, live))
        changes |= {"current_version": name, "current_digest": version.digest}
        changes["history"] = _stamp_last_seen(status, now)
        if status.current_digest:
            changes |= {"current_since": now, "current_by": status.active_rollback}
        if status.current_digest and not status.active_rollback:
            changes["episode"] = status.episode + 1
    elif version.shown is not None and not status.current_version:
        changes["current_version"] = name_version(
            spec, status, version.shown, version.digest, first_model_label(spec, live)
        )
    return status.model_copy(update=changes)


def _stamp_last_seen(status: ModelDeploymentStatus, now: datetime) -> tuple[RecordedVersion, ...]:
    return tuple(
        v.model_copy(update={"last_seen": now}) if v.is_of(status.current_digest) else v
        for v in status.history
    )


def is_stable(
    spec: ModelDeploymentSpec, status: ModelDeploymentStatus, live: Sequence[LiveTarget], *, now: datetime
) -> bool:
    """Whether the live version may be recorded now: whole, ready, unchanged for `stabilizeFor`, no Rollback at work."""
    version = live_version(spec, status, live, now=now)
    return (
        spec.versioning.record == "Automatic"
        and not status.active_rollback
        and version.shown is not None
        and not version.mixed
        and version.ready
        and version.changed_at is not None
        and now - version.changed_at >= spec.versioning.stabilize_for
    )


def stable_at(spec: ModelDeploymentSpec, live: Sequence[LiveTarget]) -> datetime | None:
    """When the pins will have been unchanged for `stabilizeFor`, ready or not; None while a target is missing."""
    changed = [t.changed_at for t in live if t.changed_at is not None]
    if not changed or len(changed) < len(live):
        return None
    stabilize_for: timedelta = spec.versioning.stabilize_for
    return max(changed) + stabilize_for


def find_recorded(status: ModelDeploymentStatus, digest: str) -> RecordedVersion | None:
    """The history entry of that identity, or None."""
    return next((v for v in status.history if v.is_of(digest)), None)


def with_alias(
    status: ModelDeploymentStatus, recorded: RecordedVersion, identity: str
) -> ModelDeploymentStatus:
    """The status in which pins of that identity are the recorded version, too."""
    aliases = (identity, *recorded.aliases)[:_ALIASES]
    history = tuple(
        v.model_copy(update={"aliases": aliases}) if v.digest == recorded.digest else v
        for v in status.history
    )
    return with_history(status, history)


def record(
    spec: ModelDeploymentSpec,
    status: ModelDeploymentStatus,
    live: Sequence[LiveTarget],
    revision: str,
    *,
    changed_by: Sequence[Author] = (),
    images: Sequence[RunningImage] = (),
    moved_from: str = "",
    now: datetime,
) -> ModelDeploymentStatus:
    """The status with the live version in its history, newest first, `lastSeen` open.

    `moved_from`: the version that had these pins until a tag moved. Whoever vouched for the pins vouched for that one.
    """
    shown = {t.component: dict(t.pins or {}) for t in live}
    digest = version_digest(shown)
    old = find_recorded(status, digest)
    declared = next((v for v in spec.versions if matches(v, shown) and _is_whole(v, shown)), None)
    moved_from = moved_from or (old.moved_from if old else "")
    vouched = declared is not None and declared.safe == "Verified" and not moved_from
    entry = RecordedVersion(
        version=status.current_version,
        digest=digest,
        first_seen=old.first_seen if old else now,
        safe="Verified" if vouched else old.safe if old else "Unverified",
        healthy_for=old.healthy_for if old else timedelta(0),
        revision=revision,
        changed_by=tuple(changed_by),
        values=pin_values(shown),
        images=_together(old.images if old else (), images),
        aliases=tuple(d for d in (old.digest, *old.aliases) if d != digest)[:_ALIASES] if old else (),
        moved_from=moved_from,
    )
    rest = tuple(v for v in status.history if not v.is_of(digest))
    return with_history(status, _trim((entry, *rest), spec.versioning.history_limit))


def pin_values(shown: Shown) -> tuple[PinValue, ...]:
    """The values of a version as they stand in a history."""
    return tuple(
        PinValue(component=c, pin=pin, value=value)
        for c, pins in shown.items()
        for pin, value in pins.items()
    )


def _together(old: Sequence[RunningImage], new: Sequence[RunningImage]) -> tuple[RunningImage, ...]:
    """What is known of the images: what was not seen this time is as it was."""
    return tuple({(i.component, i.container): i for i in (*old, *new)}.values())[:_IMAGES]


def _trim(history: tuple[RecordedVersion, ...], limit: int) -> tuple[RecordedVersion, ...]:
    """The newest `limit` entries; the newest Verified one is never the one to go."""
    kept = history[:limit]
    verified = next((v for v in history if v.safe == "Verified"), None)
    if verified is None or verified in kept:
        return kept
    return (*kept[:-1], verified)


def with_history(
    status: ModelDeploymentStatus, history: tuple[RecordedVersion, ...]
) -> ModelDeploymentStatus:
    """Replaces the history and what follows from it."""
    verified = next((v.version for v in history if v.safe == "Verified"), "")
    return status.model_copy(update={"history": history, "last_verified_version": verified})


def add_healthy_time(
    spec: ModelDeploymentSpec, status: ModelDeploymentStatus, gained: timedelta, *, now: datetime
) -> ModelDeploymentStatus:
    """Credits the current version with judged-healthy time; at `verifiedAfter` it becomes Verified.

    A version in quarantine gains nothing: its time begins anew when it is released.
    """
    current = find_recorded(status, status.current_digest)
    if current is None or any(current.is_of(q.digest) and q.until > now for q in status.quarantined):
        return status
    healthy_for = current.healthy_for + gained
    verified = current.safe == "Verified" or healthy_for >= spec.versioning.verified_after
    updated = current.model_copy(
        update={"healthy_for": healthy_for, "safe": "Verified" if verified else "Unverified"}
    )
    return with_history(status, tuple(updated if v.digest == current.digest else v for v in status.history))
