"""A tag moves under the version that is live: what ran stays that version, what runs is another one."""

from model_rollback.api.v1alpha1.images import RunningImage
from model_rollback.api.v1alpha1.target import Target
from model_rollback.core.candidates import choose
from model_rollback.core.images import Look
from model_rollback.core.moves import kept_by_digest, lost, move_in_words, move_on
from model_rollback.core.versions import (
    add_healthy_time,
    find_recorded,
    name_version,
    record,
    track,
    with_alias,
)
from tests.unit.core.builders import (
    at,
    declared,
    image,
    live,
    make_status,
    make_system,
    quarantined,
    recorded,
    seconds,
)

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PINNED = {"model": {"image": f"shop/recommender:v12@{A}"}}


def ran(digest):
    return RunningImage(component="model", container="server", image_id=f"shop/recommender@{digest}")


def v12(**fields):
    return recorded("v12", safe="Verified", last_seen=None, images=(ran(A),), **fields)


def moved(status, spec=None, kept=None):
    spec = spec or make_system()
    old = find_recorded(status, status.current_digest)
    kept = kept or kept_by_digest(old, PINNED, "r-pinned")
    seen = Look((ran(B),), (ran(B),))
    after = move_on(spec, status, [live("v12")], kept, seen, now=at(60))
    return record(spec, after, [live("v12")], "r-new", images=seen.images, moved_from=old.version, now=at(60))


def test_what_ran_can_be_put_back_and_what_runs_is_unverified():
    before = make_status("v12", v12())

    after = moved(before)

    new, old = after.history
    assert (old.version, old.safe, old.last_seen, old.revision) == ("v12", "Verified", at(60), "r-pinned")
    assert old.values[0].value == PINNED["model"]["image"]
    assert (new.digest, new.safe, new.moved_from, new.last_seen) == (
        before.current_digest,
        "Unverified",
        "v12",
        None,
    )
    assert after.current_version == new.version
    assert after.last_verified_version == "v12"
    assert (after.episode, after.current_since) == (before.episode + 1, at(60))
    assert A in move_in_words(after)
    assert B in move_in_words(after)
    choice = choose(Target(), make_system(), after, now=at(61))
    assert choice.candidate is not None
    assert (choice.candidate.version, choice.candidate.digest) == ("v12", old.digest)


def test_whoever_vouched_for_a_tag_did_not_vouch_for_other_bits():
    spec = make_system(versions=[declared("v12", safe="Verified")])

    after = moved(make_status("v12", v12()), spec)
    again = record(spec, after, [live("v12")], "r-new", now=at(90))

    assert after.current_version.startswith("v12-")
    assert [v.safe for v in again.history] == ["Unverified", "Verified"]


def test_a_second_move_has_another_name():
    once = moved(make_status("v12", v12()))
    old = find_recorded(once, once.current_digest)
    seen = Look((ran("sha256:" + "c" * 64),))
    kept = kept_by_digest(old, {"model": {"image": f"shop/recommender:v12@{B}"}}, "r-b")

    twice = move_on(make_system(), once, [live("v12")], kept, seen, now=at(120))

    assert len({twice.current_version, *(v.version for v in twice.history)}) == 3


def test_a_quarantine_goes_with_the_bits():
    before = make_status("v12", v12(), quarantined=(quarantined("v12"),))

    after = moved(before)

    assert after.quarantined[0].digest == after.history[1].digest
    healthy = add_healthy_time(make_system(), after, seconds(60 * 60), now=at(120))
    assert healthy.history[0].safe == "Verified"


def test_bits_that_no_registry_has_are_no_candidate_and_the_reason_is_said():
    before = make_status("v12", v12())
    kept = lost(v12(), [ran(A)], "no registry names it")

    choice = choose(Target(), make_system(), moved(before, kept=kept), now=at(61))

    assert choice.candidate is None
    assert "v12: its tag moved, and what it ran is gone (no registry names it)" in choice.why


def test_a_version_is_itself_by_tag_and_by_digest():
    by_tag, pinned = image("v12"), live("v12", pins=PINNED["model"])
    status = make_status("v13", recorded("v13", last_seen=None), recorded("v12", safe="Verified"))
    old = status.history[1]
    identity = kept_by_digest(old, PINNED, "").digest
    status = with_alias(status, old, identity)

    back = track(make_system(), status, [pinned], now=at(60))
    assert back.current_version == "v12"
    assert find_recorded(back, back.current_digest).safe == "Verified"
    written = record(make_system(), back, [pinned], "r-pinned", now=at(70))
    assert [v.version for v in written.history] == ["v12", "v13"]
    assert written.history[0].digest == identity
    assert name_version(make_system(), written, by_tag, old.digest, "") == "v12"
    assert written.history[0].first_seen == old.first_seen
