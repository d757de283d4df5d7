"""The end of a quarantine: it runs out, or a person releases the version with a reason."""

from datetime import datetime

from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus, ReleasedQuarantine


def settle(
    spec: ModelDeploymentSpec, status: ModelDeploymentStatus, *, now: datetime
) -> ModelDeploymentStatus:
    """The status without quarantines that have ended, with what was released for it.

    Each release is carried out once, and then holds for nothing: a version that is quarantined anew stays so until
    a person says so anew. A version that is declared Verified keeps its entry at the end of its time, because the
    entry is what makes it Unverified; only a release takes it away.
    """
    done = {(r.version, r.reason): r for r in status.released}
    wanted = [(r.version, r.reason) for r in spec.quarantine_releases]
    held = {q.version: q for q in reversed(status.quarantined)}
    released = tuple(
        done.get(key)
        or ReleasedQuarantine(
            version=key[0], reason=key[1], rollback=held[key[0]].rollback if key[0] in held else "", at=now
        )
        for key in wanted
    )
    new = {version for version, reason in wanted if (version, reason) not in done}
    vouched = {v.name for v in spec.versions if v.safe == "Verified"}
    kept = tuple(
        q for q in status.quarantined if q.version not in new and (q.until > now or q.version in vouched)
    )
    return status.model_copy(update={"quarantined": kept, "released": released})


def next_end(status: ModelDeploymentStatus, *, now: datetime) -> datetime | None:
    """When the next quarantine ends; None when none does."""
    return min((q.until for q in status.quarantined if q.until > now), default=None)


def newly_released(before: ModelDeploymentStatus, after: ModelDeploymentStatus) -> list[ReleasedQuarantine]:
    """What was really released between the two, to be told."""
    known = {(r.version, r.reason) for r in before.released}
    return [r for r in after.released if r.rollback and (r.version, r.reason) not in known]
