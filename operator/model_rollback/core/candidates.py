"""Which version is put back: candidates by strategy, and why each of the others fell out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from model_rollback.api.v1alpha1.model_deployment import (
    DeclaredVersion,
    ModelDeploymentSpec,
    ModelDeploymentStatus,
    QuarantinedVersion,
    RecordedVersion,
)
from model_rollback.api.v1alpha1.rollback_policy import Target
from model_rollback.core.pins import version_digest
from model_rollback.presets import target_presets


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may be put back.

    Attributes:
        values: component → pin → shown value.
        revision: the ControllerRevision with the full values; empty when `values` are the full values.
        digest: its identity; empty for a declared version while nothing is known of what runs.
    """

    version: str
    values: Mapping[str, Mapping[str, str]]
    safe: bool
    revision: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The version to put back, or None with the reason each candidate fell out."""

    candidate: Candidate | None
    rejected: tuple[tuple[str, str], ...] = ()

    @property
    def why(self) -> str:
        """The rejections in words."""
        if not self.rejected:
            return "no version is recorded or declared that differs from what runs"
        return "; ".join(f"{version}: {reason}" for version, reason in self.rejected)


def choose(
    target: Target, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, *, now: datetime
) -> Choice:
    """The target of a rollback from the current version.

    `LastVerified`: recorded versions newest first, then declared ones as listed; the first Verified one wins.
    `Previous`: the recorded version before the current one. `Pinned`: the one named.
    """
    known = known_versions(spec, status)
    rejected: list[tuple[str, str]] = []
    others = [c for c in known if not _is_live(c, status)]
    if target.strategy == "Pinned":
        named = [c for c in known if c.version == target.version]
        if not named:
            return Choice(None, ((str(target.version), "neither recorded nor declared"),))
        others = named
    elif target.strategy == "Previous":
        others = [c for c in others if c.revision][:1]
    for candidate in others:
        why_not = _why_not(candidate, target, spec, status, now, any(c.safe for c in others))
        if why_not is None:
            return Choice(candidate, tuple(rejected))
        rejected.append((candidate.version, why_not))
    return Choice(None, tuple(rejected))


def _is_live(candidate: Candidate, status: ModelDeploymentStatus) -> bool:
    """By name, by identity, or because every value that it would write stands there already."""
    if candidate.version == status.current_version or candidate.digest == (status.current_digest or None):
        return True
    here = {c.name: {p.pin: p.value for p in c.observed} for c in status.components}
    writes = [
        (c, pin, value) for c, pins in candidate.values.items() if c in here for pin, value in pins.items()
    ]
    return bool(writes) and all(here[c].get(pin) == value for c, pin, value in writes)


def _why_not(
    candidate: Candidate,
    target: Target,
    spec: ModelDeploymentSpec,
    status: ModelDeploymentStatus,
    now: datetime,
    any_safe: bool,
) -> str | None:
    if not _fits(candidate, spec):
        return "recorded with other components or pins than there are now"
    if _is_live(candidate, status):
        return "it is what runs now"
    quarantine = quarantine_of(candidate.version, candidate.digest, status.quarantined, now=now)
    if quarantine is not None:
        return f"quarantined until {quarantine.until:%Y-%m-%d %H:%M} UTC by {quarantine.rollback}"
    if not candidate.safe and (target.allow_unverified == "Never" or any_safe):
        return "not Verified"
    return None


def _fits(candidate: Candidate, spec: ModelDeploymentSpec) -> bool:
    """Whether its values can be written to the components as they are described now."""
    presets = target_presets()
    pins = {c.name: {pin.name for pin in presets[c.preset].pins} for c in spec.components}
    return all(set(values) <= pins.get(component, set()) for component, values in candidate.values.items())


def quarantine_of(
    version: str, digest: str, quarantined: Sequence[QuarantinedVersion], *, now: datetime
) -> QuarantinedVersion | None:
    """The quarantine that holds for that version now, or None."""
    return next(
        (q for q in quarantined if q.until > now and (q.digest == digest or q.version == version)), None
    )


def known_versions(spec: ModelDeploymentSpec, status: ModelDeploymentStatus) -> list[Candidate]:
    """Recorded versions, newest first, then declared ones as listed that are not among them."""
    recorded = [_from_recorded(v) for v in status.history]
    names = {c.version for c in recorded}
    return recorded + [_from_declared(v, status) for v in spec.versions if v.name not in names]


def _from_recorded(version: RecordedVersion) -> Candidate:
    values: dict[str, dict[str, str]] = {}
    for p in version.values:
        values.setdefault(p.component, {})[p.pin] = p.value
    return Candidate(
        version.version,
        values,
        safe=version.safe == "Verified",
        revision=version.revision,
        digest=version.digest,
    )


def _from_declared(version: DeclaredVersion, status: ModelDeploymentStatus) -> Candidate:
    """Its identity is what would run: its values over those that are live. Once rolled back from, it is Verified no
    longer by its declaration."""
    values: dict[str, dict[str, str]] = {}
    for p in version.values:
        values.setdefault(p.component, {})[p.pin] = p.value
    live = {c.name: {p.pin: p.value for p in c.observed} for c in status.components}
    digest = (
        version_digest({name: pins | values.get(name, {}) for name, pins in live.items()}) if live else ""
    )
    bad = any(q.version == version.name or q.digest == digest for q in status.quarantined)
    return Candidate(version.name, values, safe=version.safe == "Verified" and not bad, digest=digest)


def find(
    version: str, digest: str, spec: ModelDeploymentSpec, status: ModelDeploymentStatus
) -> Candidate | None:
    """The recorded or declared version of that name and identity, whatever its safety; `digest` empty: any."""
    return next(
        (c for c in known_versions(spec, status) if c.version == version and digest in ("", c.digest)), None
    )
