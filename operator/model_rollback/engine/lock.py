"""What a Rollback writes on other objects: the lock, the quarantine, and the breach it answers."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from model_rollback.api.group import ANNOTATION_EVIDENCE
from model_rollback.api.v1alpha1 import ModelDeploymentStatus, RollbackPolicyStatus
from model_rollback.api.v1alpha1.model_deployment_status import FinishedRollback, QuarantinedVersion
from model_rollback.api.v1alpha1.rollback_policy import LastRollback
from model_rollback.api.v1alpha1.rollback_record import Evidence
from model_rollback.core import versions
from model_rollback.core.triggers import consume, consume_written
from model_rollback.engine.held import write_status
from model_rollback.engine.store import EVIDENCE, PolicyEntry, RollbackEntry, SystemEntry
from model_rollback.ports import Objects

KEPT = 50
"""Finished Rollbacks that are remembered: as many as the largest budget counts."""

_EVIDENCE_KEPT = 20
_ZERO = timedelta(0)


class LockHeld(Exception):
    """Another Rollback is at work, or another version is live than the one that was judged."""


class NotItsVersion(Exception):
    """What runs is not what this Rollback put back; `str()` says what it is."""


async def _write(
    objects: Objects, system: SystemEntry, change: Callable[[ModelDeploymentStatus], ModelDeploymentStatus]
) -> None:
    """Writes the lock; raises LockHeld where nothing can be written over a status that this version cannot read."""
    await write_status(objects, system, change)
    if system.unreadable:
        raise LockHeld(f"nobody: {system.unreadable}")


async def acquire(
    objects: Objects, system: SystemEntry, rollback: str, *, episode: int, attempt: int, digest: str
) -> None:
    """Sets the lock, before any other write.

    Raises:
        LockHeld: it is held, or what was judged is not what runs any more.
        ClusterError: it could not be written.
    """

    def change(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        if status.active_rollback == rollback:
            return status
        judged = (episode, attempt, digest)
        if status.active_rollback or (status.episode, status.attempt, status.current_digest) != judged:
            raise LockHeld(status.active_rollback or "another version is live now")
        return status.model_copy(update={"active_rollback": rollback})

    await _write(objects, system, change)


async def claim(objects: Objects, system: SystemEntry, rollback: str) -> None:
    """Sets the lock for a person's Rollback, whatever runs now.

    Raises:
        LockHeld: another Rollback holds it.
        ClusterError: it could not be written.
    """

    def change(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        if status.active_rollback not in ("", rollback):
            raise LockHeld(status.active_rollback)
        return status.model_copy(update={"active_rollback": rollback})

    await _write(objects, system, change)


async def acquire_again(objects: Objects, system: SystemEntry, rollback: RollbackEntry) -> None:
    """Sets the lock for the undo of a Rollback whose target is what runs now.

    Raises:
        LockHeld: another Rollback holds it.
        NotItsVersion: another version is live than the one that it put back.
        ClusterError: it could not be written.
    """
    name = rollback.ref.name

    def change(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        if status.active_rollback == name:
            return status
        if status.active_rollback:
            raise LockHeld(status.active_rollback)
        if status.current_digest != rollback.to_digest:
            raise NotItsVersion(status.current_version or "a mixture of versions")
        return status.model_copy(update={"active_rollback": name})

    await _write(objects, system, change)


async def drop(objects: Objects, system: SystemEntry, rollback: str) -> None:
    """Clears a lock that has no Rollback; the next attempt has another name."""

    def change(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        if status.active_rollback != rollback:
            return status
        return status.model_copy(update={"active_rollback": "", "attempt": status.attempt + 1})

    await write_status(objects, system, change)


async def release(
    objects: Objects, system: SystemEntry, rollback: RollbackEntry, *, finished_at: datetime
) -> bool:
    """Clears the lock, counts the attempt and remembers the result, in one write.

    A Rollback that has written nothing has rolled back from nothing: what it took out of the candidates is one again,
    unless an earlier one keeps it out. Whether there was such a version.

    The targets must have been looked at just before: whether the episode grows, and whether something was written that
    the record does not tell of, follows from what runs now.
    """
    entry = FinishedRollback(
        name=rollback.ref.name,
        policy=rollback.spec.policy_ref.name,
        type=rollback.spec.type,
        finished_at=finished_at,
        result=rollback.status.result or "Aborted",
    )
    wrote = rollback.status.timeline.first_write_at is not None or _signed(system, rollback.ref.name)
    kept_out = {q.digest for q in _settle(system.status.quarantined, entry.name, wrote=wrote)}
    freed = any(q.digest not in kept_out for q in system.status.quarantined)

    def change(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        if status.active_rollback != rollback.ref.name:
            return status
        if system.spec is not None and system.is_known:
            status = versions.track(system.spec, status, system.targets, now=finished_at)
            if status.current_version and status.current_digest == rollback.from_digest:
                # What ran too shortly to be recorded has its old name back, whoever was called so meanwhile. A mixture
                # has no name, and still the digest of what ran before it.
                status = status.model_copy(update={"current_version": rollback.from_version})
        was = rollback.to_digest if rollback.status.result == "Undone" else rollback.from_digest
        moved = status.current_digest != was
        if rollback.status.result == "Superseded" and status.current_digest != rollback.to_digest:
            # Seen while the lock was held, but somebody else put it there.
            status = status.model_copy(update={"current_by": ""})
        out = _settle(status.quarantined, entry.name, wrote=wrote)
        kept = tuple(r for r in status.last_rollbacks if r.name != entry.name)
        last = (entry, *kept) if _counts(entry, wrote=wrote) else kept
        return status.model_copy(
            update={
                "active_rollback": "",
                "attempt": status.attempt + 1,
                "episode": status.episode + 1 if moved else status.episode,
                "last_rollbacks": last[:KEPT],
                "quarantined": out,
            }
        )

    await write_status(objects, system, change)
    return freed


def _counts(finished: FinishedRollback, *, wrote: bool) -> bool:
    """Whether cooldown and budget count it.

    What was denied never began. What came too late for a version that somebody has replaced left nothing that had to
    settle, and the new version is not to go unprotected for it.
    """
    return finished.result != "Denied" and (wrote or finished.result != "Superseded")


def _signed(system: SystemEntry, rollback: str) -> bool:
    """Whether a target bears its signature: its record may have been deleted before it said so."""
    return any(target.last_write.startswith(f"{rollback}/") for target in system.live.values())


def _settle(
    quarantined: Sequence[QuarantinedVersion], rollback: str, *, wrote: bool
) -> tuple[QuarantinedVersion, ...]:
    """Who is out when that Rollback has ended: its word replaces that of earlier ones, or is taken back.

    Nobody is let in earlier than was said: the longest time holds.
    """
    ours = {q.digest for q in quarantined if q.rollback == rollback}
    if wrote:
        until = {q.digest: q.until for q in sorted(quarantined, key=lambda q: q.until)}
        return tuple(
            q.model_copy(update={"until": until[q.digest]}) if q.rollback == rollback else q
            for q in quarantined
            if q.rollback == rollback or q.digest not in ours
        )
    return tuple(q for q in quarantined if q.rollback != rollback)


async def quarantine(
    objects: Objects, system: SystemEntry, rollback: str, version: str, digest: str, *, until: datetime
) -> bool:
    """Takes a bad version out of the candidates. Whether it was added by this call.

    What an earlier Rollback says of it is kept until this one has ended: it holds on if this one writes nothing.
    """
    entry = QuarantinedVersion(version=version, digest=digest, rollback=rollback, until=until)
    if any(q.digest == entry.digest and q.rollback == entry.rollback for q in system.status.quarantined):
        return False

    def change(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        history = tuple(
            v.model_copy(update={"safe": "Unverified", "healthy_for": _ZERO}) if v.is_of(entry.digest) else v
            for v in status.history
        )
        verified = next((v.version for v in history if v.safe == "Verified"), "")
        return status.model_copy(
            update={
                "quarantined": (entry, *status.quarantined)[:KEPT],
                "history": history,
                "last_verified_version": verified,
            }
        )

    await write_status(objects, system, change)
    return True


async def release_quarantine(objects: Objects, system: SystemEntry, rollback: RollbackEntry) -> bool:
    """What was rolled back from is put back: this Rollback keeps it out no longer. Whether that made it a candidate
    again: an earlier one may keep it out still.

    Targets that failed their validation stay in quarantine.
    """
    digest, name = rollback.from_digest, rollback.ref.name

    def ours(entry: QuarantinedVersion) -> bool:
        return (entry.digest, entry.rollback) == (digest, name)

    if not any(ours(q) for q in system.status.quarantined):
        return False

    def change(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
        kept = tuple(q for q in status.quarantined if not ours(q))
        return status.model_copy(update={"quarantined": kept})

    await write_status(objects, system, change)
    return all(q.digest != digest for q in system.status.quarantined)


async def close_policy(
    objects: Objects, policy: PolicyEntry, rollback: RollbackEntry, *, episode: int, finished_at: datetime
) -> None:
    """Marks the breaches as answered by this Rollback, and notes its result, in one write.

    Done before the lock is cleared: whatever crashed before, this breach starts nothing more.
    """
    evidence = rollback.status.evidence or rollback.handed_over
    last = LastRollback(
        name=rollback.ref.name, result=rollback.status.result or "Aborted", finished_at=finished_at
    )
    async with policy.evaluating:
        policy.memories = consume(policy.memories, evidence, rollback.ref.name)

        def change(status: RollbackPolicyStatus) -> RollbackPolicyStatus:
            triggers = consume_written(status.triggers, evidence, rollback.ref.name, episode=episode)
            return status.model_copy(update={"triggers": triggers, "last_rollback": last})

        await write_status(objects, policy, change)


def rollback_body(
    system: SystemEntry,
    name: str,
    spec: dict[str, Any],
    labels: dict[str, str],
    evidence: tuple[Evidence, ...],
) -> dict[str, Any]:
    """The Rollback object to create. It has no owner: it outlives policy and ModelDeployment.

    A status cannot be created with its object, so the evidence comes as an annotation: whoever dies next, the
    Rollback knows why it exists. Samples are left out, because annotations are limited to 256 KiB.
    """
    written = EVIDENCE.dump_json(
        evidence[:_EVIDENCE_KEPT], by_alias=True, exclude_none=True, exclude={"__all__": {"samples"}}
    )
    metadata = {
        "name": name,
        "namespace": system.ref.namespace,
        "labels": labels,
        "annotations": {ANNOTATION_EVIDENCE: written.decode()},
    }
    return {
        "apiVersion": system.ref.api_version,
        "kind": "Rollback",
        "metadata": metadata,
        "spec": spec,
    }
