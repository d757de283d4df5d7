"""Rollbacks that people ask for wait for the lock, and nobody else's end takes their turn away."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

from model_rollback.engine.requests import Requests
from model_rollback.engine.store import SystemEntry
from model_rollback.ports import ObjectRef
from tests.unit.api.objects import MODEL_DEPLOYMENT, ROLLBACK, with_fields
from tests.unit.core.builders import NOW, make_status
from tests.unit.engine.api_server import Cluster

API = "modelrollback.dev/v1alpha1"
KEY = ("shop", "recommender")
SYSTEM = ObjectRef(API, "ModelDeployment", *KEY)
BUSY = make_status(active_rollback="recommender-1a2b3c4d5e").model_dump(
    mode="json", by_alias=True, exclude_none=True
)


def manual(name: str, namespace: str = "shop") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}", "resourceVersion": "1"}
    spec = {
        "modelDeploymentRef": {"name": "recommender"},
        "policyRef": {"name": "recommender"},
        "type": "Manual",
        "reason": "v13 answers slowly",
        "requestedBy": {"kind": "User", "name": "jane"},
    }
    return {**ROLLBACK, "metadata": metadata, "spec": spec, "status": {}}


async def waiting(*rollbacks: dict[str, Any]) -> Requests:
    """All of them have asked while another one is at work."""
    metadata = {"name": "recommender", "namespace": "shop", "uid": "u", "resourceVersion": "7"}
    system = with_fields(MODEL_DEPLOYMENT, {"metadata": metadata, "status": BUSY})
    refs = [ObjectRef(API, "Rollback", "shop", r["metadata"]["name"]) for r in rollbacks]
    world: Any = SimpleNamespace(
        objects=Cluster((SYSTEM, system), *zip(refs, rollbacks, strict=True)),
        clock=SimpleNamespace(now=lambda: NOW),
        introduce_system=SystemEntry,
        announcer=SimpleNamespace(tell=lambda *_: None),
    )
    attendant: Any = SimpleNamespace(is_starting=lambda _: False)
    requests = Requests(world, attendant)
    for rollback in rollbacks:
        await requests.look(rollback)
    return requests


def free() -> SystemEntry:
    metadata = {"name": "recommender", "namespace": "shop", "uid": "u", "resourceVersion": "8"}
    return SystemEntry(with_fields(MODEL_DEPLOYMENT, {"metadata": metadata}))


async def test_the_next_one_has_its_turn_when_the_lock_is_free():
    requests = await waiting(manual("by-hand"))

    following = requests.next_of(KEY, free())

    assert following is not None
    assert following.name == "by-hand"


async def test_what_waits_says_which_of_its_generations_was_seen():
    asked = manual("by-hand")
    asked["metadata"]["generation"] = 3
    requests = await waiting(asked)

    status = requests._waiting[KEY]["by-hand"].status

    assert (status.observed_generation, status.conditions[0].observed_generation) == (3, 3)


async def test_a_deleted_one_waits_no_longer_and_its_namesake_elsewhere_still_does():
    requests = await waiting(manual("by-hand"))

    requests.gone(manual("by-hand", namespace="bank"))
    assert requests.next_of(KEY, free()) is not None

    requests.gone(manual("by-hand"))
    assert requests.next_of(KEY, free()) is None


async def test_one_that_was_made_anew_still_waits_when_the_end_of_its_predecessor_is_told():
    requests = await waiting(manual("by-hand"))
    predecessor = manual("by-hand")
    predecessor["metadata"] |= {"uid": "before"}

    requests.gone(predecessor)

    assert requests.next_of(KEY, free()) is not None


async def test_a_rollback_that_is_being_started_is_left_to_its_starter():
    attendant: Any = SimpleNamespace(is_starting=lambda key: key == KEY)
    asked = AsyncMock()
    world: Any = SimpleNamespace(objects=asked, clock=SimpleNamespace(now=lambda: NOW))
    requests = Requests(world, attendant)

    await requests.look({**manual("by-itself"), "spec": ROLLBACK["spec"]})

    assert asked.mock_calls == [], "neither read nor written"
    assert requests.next_of(KEY, free()) is None


async def test_what_a_person_asks_while_another_one_is_being_started_is_heard_afterwards():
    metadata = {"name": "recommender", "namespace": "shop", "uid": "u", "resourceVersion": "7"}
    cluster = Cluster(
        (SYSTEM, with_fields(MODEL_DEPLOYMENT, {"metadata": metadata})),
        (ObjectRef(API, "Rollback", "shop", "by-hand"), manual("by-hand")),
    )
    starting, attended = [True, True], []

    async def sleep(_moment):
        starting.pop()

    world: Any = SimpleNamespace(
        objects=cluster,
        clock=SimpleNamespace(now=lambda: NOW, sleep_until=sleep),
        introduce_system=SystemEntry,
    )
    attendant: Any = SimpleNamespace(
        is_starting=lambda _: bool(starting), attend=lambda key, _: attended.append(key)
    )

    await Requests(world, attendant).look(manual("by-hand"))

    assert attended == [KEY]
    assert cluster.objects[SYSTEM]["status"]["activeRollback"] == "by-hand"
