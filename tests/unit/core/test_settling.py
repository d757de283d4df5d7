"""When nothing is judged: while a version has just changed, and while a Rollback writes."""

import pytest

from model_rollback.core.settling import settling
from tests.unit.core.builders import NOW, at, make_status, seconds

RBK = "recommender-1a2b3c4d5e"
ROWS = {
    "no change was ever seen": ({}, False),
    "a new version warms up": ({"current_since": at(-59)}, True),
    "it has warmed up": ({"current_since": at(-60)}, False),
    "a Rollback changed it, it settles": ({"current_since": at(-119), "current_by": RBK}, True),
    "it has settled": ({"current_since": at(-120), "current_by": RBK}, False),
    "a Rollback holds the lock and has written nothing yet": ({"active_rollback": RBK}, False),
    "it has written": ({"active_rollback": RBK, "current_by": RBK, "current_since": at(-9999)}, True),
    "it has written a part": ({"active_rollback": RBK, "current": ""}, True),
    "components hold a mixture that people made": ({"current": ""}, False),
    "the next Rollback waits after one long ago": (
        {"active_rollback": "recommender-0000000000", "current_by": RBK, "current_since": at(-9999)},
        False,
    ),
    "the clock was set back": ({"current_since": at(1)}, False),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_has_just_changed_is_not_judged(row):
    fields, settles = ROWS[row]
    status = make_status(**{"current": "v12", **fields})

    assert bool(settling(status, warm_up=seconds(60), settle=seconds(120), now=NOW)) is settles


def test_it_says_until_when():
    changed = make_status(current_since=NOW)
    reverted = make_status(current_since=NOW, current_by=RBK)

    assert (
        settling(changed, warm_up=seconds(60), settle=seconds(0), now=NOW)
        == "a new version warms up until 10:01:00 UTC"
    )
    assert settling(reverted, warm_up=seconds(0), settle=seconds(60), now=NOW) == (
        "recommender-1a2b3c4d5e changed the version, it settles until 10:01:00 UTC"
    )
