"""Finished Rollbacks beyond `historyLimit` are deleted, oldest first; everything else is kept."""

from typing import Any

from model_rollback.engine.retention import Retention
from model_rollback.engine.store import Store
from model_rollback.errors import Forbidden
from tests.unit.core.builders import make_policy, wire
from tests.unit.engine.kept_objects import KeptObjects

KEY = ("shop", "recommender")


def rollback(name: str, finished: int = 0, namespace: str = "shop", **status: Any) -> dict[str, Any]:
    ended = {"result": "Succeeded", "timeline": {"finishedAt": f"2026-01-05T10:00:{finished:02}.000Z"}}
    return {
        "kind": "Rollback",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "1"},
        "spec": {"policyRef": {"name": "recommender"}},
        "status": {**(ended if finished else {}), **status},
    }


def retention(*bodies: dict[str, Any], limit: int = 2, **faults: Any) -> tuple[Retention, KeptObjects]:
    store = Store()
    spec = wire(make_policy(historyLimit=limit))
    metadata = {"name": "recommender", "namespace": "shop", "uid": "p", "resourceVersion": "1"}
    store.put_policy({"metadata": metadata, "spec": spec})
    objects = KeptObjects(*bodies, **faults)
    kept = Retention(store, objects)
    for body in bodies:
        kept.seen(body)
    return kept, objects


async def test_the_oldest_go_first():
    kept, objects = retention(rollback("c", 3), rollback("a", 1), rollback("d", 4), rollback("b", 2))

    assert kept.seen(rollback("d", 4)) == KEY
    await kept.prune(KEY)

    assert objects.writes == ["delete a", "delete b"]
    assert kept.seen(rollback("d", 4)) is None


async def test_what_runs_or_is_under_review_is_kept():
    review = [{"type": "Reviewed", "status": "False"}]
    running, reviewed = rollback("running"), rollback("reviewed", 1, conditions=review)
    kept, objects = retention(running, reviewed, rollback("a", 2), rollback("b", 3))

    await kept.prune(KEY)

    assert objects.writes == []


async def test_one_that_is_being_undone_counts_no_longer():
    kept, objects = retention(rollback("a", 1), rollback("b", 2), rollback("c", 3))
    kept.seen(rollback("a"))

    await kept.prune(KEY)

    assert objects.writes == []


def test_a_deleted_one_counts_no_longer_and_its_namesake_elsewhere_still_does():
    kept, _ = retention(rollback("a", 1), rollback("b", 2), rollback("c", 3))

    kept.gone(rollback("a", 1, namespace="bank"))
    assert kept.seen(rollback("c", 3)) == KEY

    kept.gone(rollback("a", 1))
    assert kept.seen(rollback("c", 3)) is None


async def test_what_a_deleted_policy_left_is_kept():
    kept, objects = retention(rollback("a", 1), rollback("b", 2), rollback("c", 3))
    kept._store.drop_policy(KEY)

    assert kept.seen(rollback("c", 3)) is None
    await kept.prune(KEY)

    assert objects.writes == []


async def test_another_object_of_the_name_is_left_alone_and_a_refusal_is_survived():
    kept, objects = retention(rollback("a", 1), rollback("b", 2), limit=1, faults=[Forbidden("may not")])
    await kept.prune(KEY)
    assert objects.writes == []
    objects.kept["Rollback", "a"]["metadata"]["uid"] = "of another"

    await kept.prune(KEY)

    assert objects.writes == []


async def test_one_that_was_asked_something_just_before_is_left_alone():
    kept, objects = retention(rollback("a", 1), rollback("b", 2), limit=1)
    objects.kept["Rollback", "a"]["metadata"]["resourceVersion"] = "2"

    await kept.prune(KEY)

    assert objects.writes == []
