"""The ModelDeployment that a simulation plays with: versions that are known, targets that are there and ready."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from model_rollback.api.v1alpha1 import ModelDeploymentSpec, ModelDeploymentStatus
from model_rollback.api.v1alpha1.model_deployment_status import (
    FinishedRollback,
    QuarantinedVersion,
    RecordedVersion,
)
from model_rollback.core import versions
from model_rollback.core.kinds import type_of
from model_rollback.core.live import LiveTarget
from model_rollback.core.pins import version_digest
from model_rollback.core.presets import Policy
from model_rollback.core.readiness import Readiness

Shown = dict[str, dict[str, str]]
"""Component → pin → value."""

CURRENT: Final = "current"
PREVIOUS: Final = "previous"
"""What the two versions are called where nobody names them."""

_AGE: Final = timedelta(days=1)
"""Each version was live for this long before the next one."""

_FOREVER: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Stage:
    """The system as the policy sees it."""

    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus
    live: tuple[LiveTarget, ...]


def any_system(name: str) -> ModelDeploymentSpec:
    """The smallest one, for a policy that comes without its ModelDeployment."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return ModelDeploymentSpec.model_validate({"components": [{"name": "model", "targetRef": target}]})


def set_stage(
    policy: Policy,
    system: ModelDeploymentSpec | None,
    *,
    now: datetime,
    current: str = CURRENT,
    verified: Sequence[str] | None = None,
    quarantined: Sequence[str] = (),
    replaced_at: datetime | None = None,
) -> Stage:
    """`current` is live and recorded, then `verified` (newest first) and `quarantined`.

    Args:
        verified: None: `previous`, unless the ModelDeployment declares a Verified version.
        replaced_at: when `current` took the place of the one before. Default: a day ago.
    """
    spec = system or any_system(policy.model_deployment_ref.name)
    if verified is None:
        verified = () if any(v.safe == "Verified" for v in spec.versions) else (PREVIOUS,)
    names = list(dict.fromkeys([current, *verified, *quarantined]))
    began = replaced_at if replaced_at is not None else now - _AGE
    history = tuple(
        _recorded(spec, name, safe=name in verified, seen=began - age * _AGE, live=name == current)
        for age, name in enumerate(names)
    )
    digests = {v.version: v.digest for v in history}
    kept_out = tuple(
        QuarantinedVersion(
            version=name, digest=digests[name], rollback="before-the-test", until=now + _FOREVER
        )
        for name in quarantined
    )
    live = _live(spec, _shown(spec, current), began)
    status = ModelDeploymentStatus(
        current_version=current,
        current_digest=digests[current],
        components=versions.component_statuses(live),
        quarantined=kept_out,
        episode=1,
    )
    return Stage(spec, versions.with_history(status, history), live)


def _shown(spec: ModelDeploymentSpec, version: str) -> Shown:
    """What the pins hold in that version: what is declared, and for the rest a text of their own."""
    shown = {
        component.name: {pin.name: f"{component.name}@{version}" for pin in type_of(component).pins}
        for component in spec.components
    }
    for declared in (v for v in spec.versions if v.name == version):
        for value in declared.values:
            shown[value.component][value.pin] = value.value
    return shown


def _recorded(
    spec: ModelDeploymentSpec, name: str, *, safe: bool, seen: datetime, live: bool
) -> RecordedVersion:
    shown = _shown(spec, name)
    return RecordedVersion(
        version=name,
        digest=version_digest(shown),
        first_seen=seen,
        last_seen=None if live else seen + _AGE,
        safe="Verified" if safe else "Unverified",
        revision=f"simulated-{name}",
        values=versions.pin_values(shown),
    )


def _live(spec: ModelDeploymentSpec, shown: Shown, changed_at: datetime) -> tuple[LiveTarget, ...]:
    return tuple(
        LiveTarget(
            component=c.name,
            uid=f"simulated-{c.name}",
            pins=shown[c.name],
            readiness=Readiness(ready=True),
            changed_at=changed_at,
        )
        for c in spec.components
    )


def reverted(stage: Stage, to: str, rollback: str, *, now: datetime, quarantine: timedelta) -> Stage:
    """The stage while the Rollback holds the lock and its target has just been put back, ready at once."""
    old = stage.status
    shown = _shown(stage.spec, to)
    live = _live(stage.spec, shown, now)
    kept_out = QuarantinedVersion(
        version=old.current_version, digest=old.current_digest, rollback=rollback, until=now + quarantine
    )
    history = tuple(
        v.model_copy(update={"last_seen": now, "safe": "Unverified"}) if v.digest == old.current_digest else v
        for v in old.history
    )
    status = old.model_copy(
        update={
            "active_rollback": rollback,
            "current_version": to,
            "current_digest": version_digest(shown),
            "current_since": now,
            "current_by": rollback,
            "components": versions.component_statuses(live),
            "quarantined": (kept_out, *old.quarantined),
        }
    )
    return replace(stage, status=versions.with_history(status, history), live=live)


def finished(stage: Stage, rollback: str, *, at: datetime, moved: bool = True) -> Stage:
    """The stage once the Rollback succeeded. `moved`: it put another version there, so an episode ended."""
    old = stage.status
    entry = FinishedRollback(name=rollback, type="Incident", finished_at=at, result="Succeeded")
    return replace(
        stage,
        status=old.model_copy(
            update={
                "active_rollback": "",
                "attempt": old.attempt + 1,
                "episode": old.episode + moved,
                "last_rollbacks": (entry, *old.last_rollbacks),
            }
        ),
    )
