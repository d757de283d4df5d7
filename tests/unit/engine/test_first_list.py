"""What the engine lists itself at a start, what kopf shows of it afterwards, and what it never shows."""

import asyncio
from datetime import UTC, datetime

import pytest

from model_rollback.engine.first_list import FirstList
from model_rollback.errors import Unavailable
from model_rollback.ports import ObjectRef, WatchEvent
from tests.unit.engine.api_server import Cluster

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def body(name="m", uid="first", version="7"):
    metadata = {"namespace": "shop", "name": name, "uid": uid, "resourceVersion": version}
    return {"metadata": metadata, "spec": {"modelDeploymentRef": {"name": "m"}}}


class Engine:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []
        self.takes = {
            "RollbackPolicy": self.on_policy,
            "ModelDeployment": self.on_system,
            "Rollback": self.on_rollback,
        }

    def _take(self, kind, body, deleted):
        self.told.append((kind, body["metadata"]["uid"], "deleted" if deleted else "seen"))

    def on_policy(self, body, *, deleted):
        self._take("policy", body, deleted)

    def on_system(self, body, *, deleted):
        self._take("system", body, deleted)

    def on_rollback(self, body, *, deleted):
        assert body["spec"]["modelDeploymentRef"]["name"] == "m"
        self._take("rollback", body, deleted)


class Watches:
    """Lists these objects of each kind; a kind without an entry is unavailable."""

    def __init__(self, **objects):
        self._objects = objects

    async def watch(self, _, kind):
        yield WatchEvent("Listing")
        if kind not in self._objects:
            yield WatchEvent("Unavailable", message="no right to list")
            await asyncio.Event().wait()
        for listed in self._objects[kind]:
            yield WatchEvent("Upserted", listed)
        yield WatchEvent("Synced")
        raise AssertionError("it is not watched")


class Clock:
    """Each look comes at once, after `between`."""

    def __init__(self, *between):
        self.between = list(between)

    def now(self):
        return NOW

    async def sleep_until(self, _):
        if not self.between:
            raise asyncio.CancelledError
        self.between.pop(0)()


def nothing():
    """No news from kopf until the next look."""


class Ground:
    def __init__(self, *objects, kind="RollbackPolicy"):
        listed = {k: [] for k in ("RollbackPolicy", "ModelDeployment", "Rollback")}
        self.engine, self.clock = Engine(), Clock()
        self.objects = Cluster(
            *(
                (ObjectRef("modelrollback.dev/v1alpha1", kind, "shop", o["metadata"]["name"]), o)
                for o in objects
            )
        )
        watches = Watches(**{**listed, kind: objects})
        self.list = FirstList(self.engine.takes, self.objects, watches, self.clock)

    async def look(self, times):
        """`times` looks, in which kopf says nothing."""
        self.clock.between += [nothing] * times
        try:
            await self.list.find_deleted()
        except asyncio.CancelledError:
            return
        assert self.clock.between == [], "it looked less often"


async def test_what_kopf_shows_again_is_passed_over_once():
    ground = Ground(body())
    await ground.list.run()
    assert ground.list.is_over.is_set()

    for _ in range(2):
        ground.list.on_policy(body(), deleted=False)

    assert ground.engine.told == [("policy", "first", "seen")] * 2


@pytest.mark.parametrize(
    ("shown", "deleted", "told"),
    [
        pytest.param(body(version="8"), False, [("first", "seen")], id="changed meanwhile"),
        pytest.param(body(), True, [("first", "deleted")], id="deleted when kopf watched"),
        pytest.param(body(uid="second"), False, [("first", "deleted"), ("second", "seen")], id="made anew"),
    ],
)
async def test_what_kopf_shows_otherwise_counts(shown, deleted, told):
    ground = Ground(body(), kind="Rollback")
    await ground.list.run()

    ground.list.on_rollback(shown, deleted=deleted)

    assert [what[1:] for what in ground.engine.told[1:]] == told


async def test_what_was_deleted_before_kopf_listed_is_found_out():
    ground = Ground(body("there"), body("gone", uid="second"), kind="Rollback")
    await ground.list.run()
    ground.list.on_rollback(body("there"), deleted=False)
    ground.objects.objects.clear()

    await ground.look(2)

    assert ground.engine.told[2:] == [("rollback", "second", "deleted")]


async def test_what_kopf_has_not_shown_yet_is_not_taken_for_deleted():
    ground = Ground(body(), kind="ModelDeployment")
    await ground.list.run()

    await ground.look(5)
    assert ground.engine.told == [("system", "first", "seen")]

    ground.list.on_system(body(), deleted=False)
    await ground.look(0)
    assert ground.engine.told == [("system", "first", "seen")]


async def test_an_api_server_that_does_not_answer_deletes_nothing():
    ground = Ground(body())
    await ground.list.run()

    async def fail(ref):
        raise Unavailable(str(ref))

    ground.objects.get = fail
    await ground.look(3)

    assert ground.engine.told == [("policy", "first", "seen")]


async def test_nothing_is_read_while_kopf_still_lists():
    ground = Ground(*(body(f"m{n}") for n in range(3)))
    await ground.list.run()
    reads = []

    async def get(ref):
        reads.append(ref)
        return body(ref.name)

    ground.objects.get = get
    ground.clock.between = [lambda n=n: ground.list.on_policy(body(f"m{n}"), deleted=False) for n in range(3)]
    await ground.list.find_deleted()

    assert reads == []


async def test_a_kind_that_cannot_be_listed_is_left_to_kopf():
    engine = Engine()
    first = FirstList(engine.takes, Cluster(), Watches(RollbackPolicy=[body()], Rollback=[]), Clock())

    async with asyncio.timeout(10):
        await first.run()
    first.on_system(body(), deleted=False)

    assert engine.told == [("policy", "first", "seen"), ("system", "first", "seen")]
