"""How a quarantine ends: by its time, or by a person's word, which holds once."""

import pytest

from model_rollback.core.candidates import known_versions
from model_rollback.core.quarantine import newly_released, next_end, settle
from tests.unit.core.builders import NOW, at, declared, make_status, make_system, quarantined

HELD = quarantined("v11", at(60))
OVER = quarantined("v10", at(-1))


def system(*releases, **fields):
    return make_system(quarantineReleases=[{"version": v, "reason": r} for v, r in releases], **fields)


def names(status):
    return [q.version for q in status.quarantined]


def test_what_has_run_out_is_removed_and_the_rest_stays():
    status = make_status(quarantined=(HELD, OVER))

    after = settle(system(), status, now=NOW)

    assert names(after) == ["v11"]
    assert next_end(status, now=NOW) == at(60)
    assert next_end(settle(system(), status, now=at(60)), now=at(60)) is None


def test_a_release_is_carried_out_with_its_reason_and_told_once():
    status = make_status(quarantined=(HELD,))
    spec = system(("v11", "fixed upstream"))

    after = settle(spec, status, now=NOW)
    again = settle(spec, after, now=at(10))

    assert names(after) == []
    (released,) = newly_released(status, after)
    assert (released.version, released.reason, released.rollback, released.at) == (
        "v11",
        "fixed upstream",
        HELD.rollback,
        NOW,
    )
    assert again == after
    assert newly_released(after, again) == []


def test_a_release_does_not_hold_for_the_next_quarantine():
    """Guard: `status.released`. Else the word of last month would undo the rollback of today."""
    spec = system(("v11", "fixed upstream"))
    released = settle(spec, make_status(quarantined=(HELD,)), now=NOW)

    anew = settle(spec, released.model_copy(update={"quarantined": (HELD,)}), now=at(10))
    reworded = settle(system(("v11", "fixed again")), anew, now=at(20))

    assert names(anew) == ["v11"]
    assert names(reworded) == []
    assert [r.reason for r in reworded.released] == ["fixed again"]


def test_a_release_of_what_is_not_in_quarantine_holds_for_nothing_later():
    spec = system(("v11", "just in case"))
    early = settle(spec, make_status(), now=NOW)

    later = settle(spec, early.model_copy(update={"quarantined": (HELD,)}), now=at(10))

    assert names(later) == ["v11"]
    assert newly_released(make_status(), early) == []


def test_a_release_that_is_taken_away_is_forgotten():
    spec = system(("v11", "fixed upstream"))
    released = settle(spec, make_status(quarantined=(HELD,)), now=NOW)

    assert settle(system(), released, now=at(10)).released == ()


@pytest.mark.parametrize(
    ("releases", "verified"),
    [((), False), ((("v10", "re-evaluated"),), True)],
    ids=["at its end", "released"],
)
def test_a_declaration_counts_again_only_when_a_person_says_so(releases, verified):
    spec = system(*releases, versions=[declared("v10")])

    after = settle(spec, make_status(quarantined=(OVER,)), now=NOW)

    (candidate,) = [c for c in known_versions(spec, after) if c.version == "v10"]
    assert candidate.safe == verified


def test_nothing_changes_while_nothing_ends():
    status = make_status(quarantined=(HELD,))

    assert settle(system(), status, now=NOW) == status
