"""The lock of the one active Rollback: who gets it, and what is counted when it is given back."""

import pytest

from model_rollback.api.v1alpha1 import ModelDeploymentStatus
from model_rollback.core.live import LiveTarget
from model_rollback.engine import lock
from model_rollback.engine.store import RollbackEntry, SystemEntry
from model_rollback.errors import NotFound, Unavailable
from model_rollback.ports import ObjectRef
from tests.unit.api.objects import MODEL_DEPLOYMENT, ROLLBACK, with_fields
from tests.unit.core.builders import NOW, at, live, make_status, quarantined, wire
from tests.unit.engine.api_server import Cluster

SYSTEM = ObjectRef("modelrollback.dev/v1alpha1", "ModelDeployment", "shop", "recommender")
NAME = ROLLBACK["metadata"]["name"]
STATUS = make_status()
EARLIER = quarantined("v13").model_copy(update={"rollback": "recommender-earlier"})
JUDGED = {"episode": STATUS.episode, "attempt": STATUS.attempt, "digest": STATUS.current_digest}


def stored(status: ModelDeploymentStatus) -> tuple[Cluster, SystemEntry]:
    body = with_fields(
        MODEL_DEPLOYMENT,
        {
            "metadata": {"name": "recommender", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
            "status": wire(status),
        },
    )
    return Cluster((SYSTEM, body)), SystemEntry(body)


def written(cluster: Cluster) -> ModelDeploymentStatus:
    return ModelDeploymentStatus.model_validate(cluster.objects[SYSTEM]["status"])


def rollback(**spec: str) -> RollbackEntry:
    metadata = {"name": NAME, "namespace": "shop", "uid": "r", "resourceVersion": "1"}
    changes = {f"spec.{key}": value for key, value in spec.items()}
    body = with_fields(ROLLBACK, {"metadata": metadata, "status": {"result": "Succeeded"}, **changes})
    return RollbackEntry(body)


async def test_the_lock_is_taken_once_and_taking_it_again_changes_nothing():
    cluster, system = stored(STATUS)

    await lock.acquire(cluster, system, NAME, **JUDGED)
    await lock.acquire(cluster, system, NAME, **JUDGED)

    assert written(cluster).active_rollback == NAME
    assert cluster.writes == [SYSTEM]


@pytest.mark.parametrize(
    ("status", "judged"),
    [
        (STATUS.model_copy(update={"active_rollback": "recommender-other"}), JUDGED),
        (STATUS, {**JUDGED, "episode": 6}),
        (STATUS, {**JUDGED, "attempt": 9}),
        (STATUS, {**JUDGED, "digest": "00" * 32}),
    ],
    ids=["held by another", "of another episode", "of another attempt", "another version runs"],
)
async def test_the_lock_is_refused(status, judged):
    cluster, system = stored(status)

    with pytest.raises(lock.LockHeld):
        await lock.acquire(cluster, system, NAME, **judged)

    assert cluster.writes == []


@pytest.mark.parametrize("found", ["before", "meanwhile"])
async def test_a_status_that_cannot_be_read_is_not_taken_for_a_free_lock(found):
    """As of a newer version of this program: nothing is written over it, so the lock is not had."""
    cluster, system = stored(STATUS)
    newer = cluster.objects[SYSTEM]
    newer["status"] = {"attempt": "a word"}
    newer["metadata"]["resourceVersion"] = "8"
    if found == "before":
        system.adopt(newer)

    for take in (
        lambda: lock.acquire(cluster, system, NAME, **JUDGED),
        lambda: lock.claim(cluster, system, NAME),
        lambda: lock.acquire_again(cluster, system, rollback()),
    ):
        with pytest.raises(lock.LockHeld, match="cannot be read"):
            await take()
    assert cluster.writes == []


async def test_a_404_for_an_object_that_is_there_is_an_unknown_outcome():
    """As while the API server does not serve the kind for a moment: the lock is not given up for that."""
    cluster, system = stored(STATUS)
    cluster.lose = _not_found

    with pytest.raises(Unavailable, match="is there"):
        await lock.acquire(cluster, system, NAME, **JUDGED)

    cluster, system = stored(STATUS)
    cluster.lose = _not_found
    cluster.objects[SYSTEM]["metadata"]["uid"] = "another"
    with pytest.raises(NotFound):
        await lock.acquire(cluster, system, NAME, **JUDGED)


def _not_found() -> None:
    raise NotFound("the server could not find the requested resource (404)")


async def test_of_two_that_saw_it_free_one_gets_the_lock():
    cluster, first = stored(STATUS)
    _, second = stored(STATUS)

    await lock.acquire(cluster, first, "recommender-first", **JUDGED)
    with pytest.raises(lock.LockHeld):
        await lock.acquire(cluster, second, "recommender-second", **JUDGED)

    assert written(cluster).active_rollback == "recommender-first"


async def test_giving_the_lock_back_counts_the_attempt_and_remembers_the_result_in_one_write():
    cluster, system = stored(STATUS.model_copy(update={"active_rollback": NAME}))

    await lock.release(cluster, system, rollback(fromDigest=STATUS.current_digest), finished_at=NOW)
    await lock.release(cluster, system, rollback(fromDigest=STATUS.current_digest), finished_at=at(60))

    after = written(cluster)
    assert (after.active_rollback, after.attempt) == ("", STATUS.attempt + 1)
    assert [(r.name, r.finished_at) for r in after.last_rollbacks] == [(NAME, NOW)]
    assert cluster.writes == [SYSTEM]


async def test_a_newer_deploy_that_was_seen_under_the_lock_is_not_said_to_be_ours():
    cluster, system = stored(STATUS.model_copy(update={"active_rollback": NAME, "current_by": NAME}))
    superseded = rollback(fromDigest=STATUS.current_digest)
    superseded.status = superseded.status.model_copy(update={"result": "Superseded"})

    await lock.release(cluster, system, superseded, finished_at=NOW)

    assert written(cluster).current_by == ""


@pytest.mark.parametrize(("earlier", "candidate"), [((), True), ((EARLIER,), False)])
async def test_what_is_put_back_is_a_candidate_again_unless_an_earlier_rollback_keeps_it_out(
    earlier, candidate
):
    cluster, system = stored(STATUS.model_copy(update={"active_rollback": NAME, "quarantined": earlier}))
    await lock.quarantine(cluster, system, NAME, "v13", STATUS.current_digest, until=at(3600))
    undone = rollback(fromDigest=STATUS.current_digest)

    assert await lock.release_quarantine(cluster, system, undone) is candidate
    assert written(cluster).quarantined == earlier
    assert not await lock.release_quarantine(cluster, system, undone), "it is told once"


async def test_what_is_put_back_is_called_as_before_though_it_was_never_recorded():
    """The Undo of a version that has only a label, which what was half put back had for a while."""
    status = STATUS.model_copy(update={"active_rollback": NAME, "current_version": "v13-6529"})
    cluster, system = stored(status)
    system.live = {"model": live(app_version="v13")}

    await lock.release(cluster, system, rollback(fromDigest=STATUS.current_digest), finished_at=NOW)

    assert written(cluster).current_version == "v13"


async def test_what_had_no_name_gets_none_by_the_end_of_a_rollback():
    """A mixture has the digest of what ran before it, which this Rollback rolled back from."""
    cluster, system = stored(STATUS.model_copy(update={"active_rollback": NAME, "current_version": ""}))
    system.live = {"model": LiveTarget("model", problem="it is gone", missing=True)}

    await lock.release(cluster, system, rollback(fromDigest=STATUS.current_digest), finished_at=NOW)

    assert not written(cluster).current_version


async def test_what_was_rolled_back_from_is_quarantined_and_verified_no_longer():
    cluster, system = stored(STATUS)
    (v12,) = STATUS.history

    assert await lock.quarantine(cluster, system, NAME, "v12", v12.digest, until=at(3600))
    assert not await lock.quarantine(cluster, system, NAME, "v12", v12.digest, until=at(7200))

    after = written(cluster)
    assert [(q.version, q.until) for q in after.quarantined] == [("v12", at(3600))]
    assert [v.safe for v in after.history] == ["Unverified"]
    assert after.last_verified_version == ""


@pytest.mark.parametrize(
    ("wrote", "earlier", "after", "frees"),
    [
        (True, (), [NAME], False),
        (False, (), [], True),
        (True, (EARLIER,), [NAME], False),
        (False, (EARLIER,), [EARLIER.rollback], False),
    ],
    ids=["it wrote", "it wrote nothing", "it wrote, after another", "it wrote nothing, after another"],
)
async def test_a_rollback_that_wrote_nothing_leaves_quarantine_as_it_was(wrote, earlier, after, frees):
    """As when another version comes between the quarantine and the first patch."""
    others = (*earlier, quarantined("v11").model_copy(update={"rollback": "recommender-of-v12"}))
    cluster, system = stored(STATUS.model_copy(update={"active_rollback": NAME, "quarantined": others}))
    superseded = rollback(fromDigest=STATUS.current_digest)
    first_write = {"first_write_at": at(5)} if wrote else {}
    superseded.status = superseded.status.model_copy(
        update={
            "result": "Superseded",
            "timeline": superseded.status.timeline.model_copy(update=first_write),
        }
    )
    await lock.quarantine(cluster, system, NAME, "v13", STATUS.current_digest, until=at(3600))

    freed = await lock.release(cluster, system, superseded, finished_at=NOW)

    assert freed is frees
    out = written(cluster).quarantined
    assert [q.rollback for q in out if q.version == "v13"] == after
    assert [q.version for q in out if q.version != "v13"] == ["v11"]


@pytest.mark.parametrize(
    ("result", "wrote", "counted"),
    [
        ("Superseded", False, []),
        ("Superseded", True, [NAME]),
        ("Aborted", False, [NAME]),
        ("Denied", False, []),
    ],
)
async def test_what_was_too_late_for_any_write_starts_no_cooldown(result, wrote, counted):
    """Else the version that somebody has just deployed would go unprotected for half an hour, for nothing."""
    cluster, system = stored(STATUS.model_copy(update={"active_rollback": NAME}))
    ended = rollback(fromDigest=STATUS.current_digest)
    timeline = ended.status.timeline.model_copy(update={"first_write_at": at(5)} if wrote else {})
    ended.status = ended.status.model_copy(update={"result": result, "timeline": timeline})

    await lock.release(cluster, system, ended, finished_at=NOW)

    assert [r.name for r in written(cluster).last_rollbacks] == counted


@pytest.mark.parametrize(("earlier", "ends"), [(at(7200), at(7200)), (at(60), at(3600))])
async def test_a_quarantine_is_made_longer_by_a_later_rollback_and_never_shorter(earlier, ends):
    """As when one policy keeps out for a week and another one of the same system for an hour."""
    first = EARLIER.model_copy(update={"until": earlier})
    cluster, system = stored(STATUS.model_copy(update={"active_rollback": NAME, "quarantined": (first,)}))
    later = rollback(fromDigest=STATUS.current_digest)
    timeline = later.status.timeline.model_copy(update={"first_write_at": at(5)})
    later.status = later.status.model_copy(update={"timeline": timeline})
    await lock.quarantine(cluster, system, NAME, "v13", STATUS.current_digest, until=at(3600))

    await lock.release(cluster, system, later, finished_at=NOW)

    assert [(q.rollback, q.until) for q in written(cluster).quarantined] == [(NAME, ends)]
