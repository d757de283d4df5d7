"""Which version is put back: candidates by strategy, and why each of the others fell out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.artifacts import Attestation
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.model_deployment_status import (
    ModelDeploymentStatus,
    QuarantinedVersion,
    RecordedVersion,
)
from model_rollback.api.v1alpha1.target import Target
from model_rollback.api.v1alpha1.versions import DeclaredVersion
from model_rollback.core.kinds import type_of
from model_rollback.core.pins import shown_as, version_digest

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may be put back.

    Attributes:
        values: component → pin → shown value.
        revision: the ControllerRevision with the full values; empty when `values` are the full values.
        digest: its identity; empty for a declared version while nothing is known of what runs.
        unavailable: why it can never be put back; empty when it can.
    """

    version: str
    values: Mapping[str, Mapping[str, str]]
    safe: bool
    revision: str = ""
    digest: str = ""
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A version in the order in which a policy tries them. `why_not` empty: it may be put back."""

    version: str
    candidate: Candidate | None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The version to put back, or None with the reason each candidate fell out."""

    candidate: Candidate | None
    rejected: tuple[tuple[str, str], ...] = ()
    missing: bool = False
    """Some fell out for nothing but what was found missing."""

    @property
    def why(self) -> str:
        """The rejections in words."""
        if not self.rejected:
            return "no version is recorded or declared that differs from what runs"
        return "; ".join(f"{version}: {reason}" for version, reason in self.rejected)


def choose(
    target: Target,
    spec: ModelDeploymentSpec,
    status: ModelDeploymentStatus,
    *,
    now: datetime,
    missing: Mapping[str, str] = NOTHING,
) -> Choice:
    """The target of a rollback from the current version: the first of `rank` that may be put back and has all it needs.

    `missing`: version → which of its artifacts or kept values was found missing.
    """
    rejected: list[tuple[str, str]] = []
    lacking = False
    for entry in rank(target, spec, status, now=now):
        lacks = not entry.why_not and entry.version in missing
        if not entry.why_not and not lacks:
            return Choice(entry.candidate, tuple(rejected))
        lacking = lacking or lacks
        rejected.append((entry.version, missing[entry.version] if lacks else entry.why_not))
    return Choice(None, tuple(rejected), lacking)


def rank(
    target: Target,
    spec: ModelDeploymentSpec,
    status: ModelDeploymentStatus,
    *,
    now: datetime,
    tried: Collection[str] = (),
) -> tuple[Ranked, ...]:
    """Every version that a policy may come to, in its order, each with the reason why it may not be put back.

    `LastVerified`: recorded versions newest first, then declared ones as listed. `Previous`: the recorded version
    before the current one. `Pinned`: the one named. After the first of these that may be put back come the
    `fallbacks`; without fallbacks the rest of the strategy follows.

    Args:
        tried: names of versions that this Rollback has put back in vain; it does not come back to them.
    """
    known = known_versions(spec, status)
    by_name = {c.version: Ranked(c.version, c, _unfit(c, target, spec, status, now, tried)) for c in known}
    for name in (target.version, *target.fallbacks):
        if name is not None:
            by_name.setdefault(name, Ranked(name, None, "neither recorded nor declared"))
    strategy = [by_name[name] for name in _by_strategy(target, known, status)]
    fallbacks = [by_name[name] for name in target.fallbacks]
    verified = any(_is_safe(r) and not r.why_not for r in (*strategy, *fallbacks))
    strategy, fallbacks = (
        [_if_verified(r, target, verified) for r in some] for some in (strategy, fallbacks)
    )
    if fallbacks:
        picked = next(
            (i for i, r in enumerate(strategy) if not r.why_not or r.version in tried), len(strategy)
        )
        strategy = strategy[: picked + 1]
    return tuple({r.version: r for r in (*strategy, *fallbacks)}.values())


def _by_strategy(target: Target, known: Sequence[Candidate], status: ModelDeploymentStatus) -> list[str]:
    if target.strategy == "Pinned":
        return [str(target.version)]
    others = [c for c in known if not _is_live(c, status)]
    if target.strategy == "Previous":
        others = [c for c in others if c.revision][:1]
    return [c.version for c in others]


def _is_safe(entry: Ranked) -> bool:
    return entry.candidate is not None and entry.candidate.safe


def _if_verified(entry: Ranked, target: Target, verified: bool) -> Ranked:
    """An unverified version is put back only where the policy says so and no Verified one can be."""
    if entry.why_not or _is_safe(entry) or (target.allow_unverified == "WhenNoVerified" and not verified):
        return entry
    return replace(entry, why_not="not Verified")


def _is_live(candidate: Candidate, status: ModelDeploymentStatus) -> bool:
    """By name, by identity, or because every value that it would write stands there already.

    Bits that are gone are not live.
    """
    if candidate.unavailable:
        return False
    if candidate.version == status.current_version or candidate.digest == (status.current_digest or None):
        return True
    here = {c.name: {p.pin: p.value for p in c.observed} for c in status.components}
    writes = [
        (c, pin, value) for c, pins in candidate.values.items() if c in here for pin, value in pins.items()
    ]
    return bool(writes) and all(here[c].get(pin) == value for c, pin, value in writes)


def _unfit(
    candidate: Candidate,
    target: Target,
    spec: ModelDeploymentSpec,
    status: ModelDeploymentStatus,
    now: datetime,
    tried: Collection[str],
) -> str:
    """Why it may not be put back whether Verified or not; empty when it may."""
    if not _fits(candidate, spec):
        return "recorded with other components or pins than there are now"
    if _is_live(candidate, status):
        return "it is what runs now"
    quarantine = quarantine_of(candidate.version, candidate.digest, status.quarantined, now=now)
    if quarantine is not None:
        return f"quarantined until {quarantine.until:%Y-%m-%d %H:%M} UTC by {quarantine.rollback}"
    if candidate.unavailable:
        return candidate.unavailable
    if candidate.version in tried:
        return "put back in vain by this Rollback"
    return _too_old(candidate, target, status, now) or _unattested(candidate, target, spec, now)


def _too_old(candidate: Candidate, target: Target, status: ModelDeploymentStatus, now: datetime) -> str:
    if target.max_age is None:
        return ""
    limit = format_duration(target.max_age)
    seen = next((v for v in status.history if v.digest == candidate.digest), None)
    if seen is None:
        return f"never seen live, and maxAge is {limit}"
    if seen.last_seen is None or now - seen.last_seen <= target.max_age:
        return ""
    return f"last live at {seen.last_seen:%Y-%m-%d %H:%M} UTC, longer ago than maxAge {limit}"


def _unattested(candidate: Candidate, target: Target, spec: ModelDeploymentSpec, now: datetime) -> str:
    """Which required attestation it lacks or has let expire; the last day still counts."""
    carried = {a.name: a for a in _attestations(candidate, spec)}
    for name in target.requires:
        if name not in carried:
            return f"carries no attestation {name}"
        expires = carried[name].expires
        if expires is not None and now.astimezone(UTC).date() > expires:
            return f"its attestation {name} expired after {expires}"
    return ""


def _attestations(candidate: Candidate, spec: ModelDeploymentSpec) -> Sequence[Attestation]:
    """Those of the declared version of that name, as long as it means the same values."""
    declared = declaration_of(candidate, spec)
    return declared.attestations if declared is not None else ()


def declaration_of(candidate: Candidate, spec: ModelDeploymentSpec) -> DeclaredVersion | None:
    """The declared version of that name, as long as it means the same values; by digest they are the same, too."""
    declared = next((v for v in spec.versions if v.name == candidate.version), None)
    if declared is None:
        return None
    same = all(
        shown is not None and shown_as(p.value, shown) in (shown, shown.partition("@sha256:")[0])
        for p in declared.values
        for shown in [candidate.values.get(p.component, {}).get(p.pin)]
    )
    return declared if same else None


def _fits(candidate: Candidate, spec: ModelDeploymentSpec) -> bool:
    """Whether its values can be written to the components as they are described now.

    A declared version may leave pins as they are. One that was recorded is Verified as a whole: it must have all.
    """
    pins = {c.name: {pin.name for pin in type_of(c).pins} for c in spec.components}
    if candidate.revision:
        return {component: set(values) for component, values in candidate.values.items()} == pins
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
        unavailable=version.unavailable,
    )


def _from_declared(version: DeclaredVersion, status: ModelDeploymentStatus) -> Candidate:
    """Its identity is what would run: its values over those that are live. Once rolled back from, it is Verified no
    longer by its declaration."""
    live = {c.name: {p.pin: p.value for p in c.observed} for c in status.components}
    values: dict[str, dict[str, str]] = {}
    for p in version.values:
        shown = live.get(p.component, {}).get(p.pin, "")
        values.setdefault(p.component, {})[p.pin] = shown_as(p.value, shown)
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
