"""How the end of a Rollback reads in an Event: the way first, as far as it is known."""

import pytest

from model_rollback.engine.closing import with_way
from model_rollback.engine.store import RollbackEntry
from tests.unit.engine.test_requests import manual

WAYS = {
    "planned": ({"fromVersion": "v13", "toVersion": "v12"}, "v99", "v13 → v12: denied"),
    "asked for, and never planned": ({}, "v99", "to v99: denied"),
    "whatever the policy says": ({}, None, "denied"),
}


@pytest.mark.parametrize("case", WAYS)
def test_what_is_not_known_of_the_way_is_left_out(case):
    status, target, words = WAYS[case]
    asked = manual("by-hand")
    asked["spec"] |= {"targetVersion": target} if target else {}

    assert with_way(RollbackEntry({**asked, "status": status}), "denied") == words
