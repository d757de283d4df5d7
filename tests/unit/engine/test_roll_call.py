"""What was deleted while our kinds could not be watched is found out afterwards."""

from types import SimpleNamespace
from typing import Any

import pytest

from model_rollback.engine.roll_call import RollCall
from model_rollback.engine.store import Store
from model_rollback.errors import Unavailable
from model_rollback.ports import WatchEvent
from tests.unit.core.builders import NOW
from tests.unit.engine.api_server import Cluster
from tests.unit.engine.test_calm_ticks import body


class Place:
    """Policies that are known here, those that a list shows, and those that are there."""

    def __init__(self, known: str, listed: str, there: dict[str, str]) -> None:
        self.store = Store()
        for name in known:
            self.store.put_policy(body(name, "up"))
        self.listed = [body(name, "up") for name in listed]
        self.cluster = Cluster()
        for name, uid in there.items():
            ref = self.store.policies["shop", name].ref
            self.cluster.objects[ref] = {"metadata": {"name": name, "namespace": "shop", "uid": uid}}
        self.failures: list[WatchEvent] = []
        self.pauses = 0
        clock: Any = SimpleNamespace(now=lambda: NOW, sleep_until=self._pause)
        self.call = RollCall(self.cluster, self, clock)

    async def _pause(self, _moment):
        self.pauses += 1

    async def watch(self, api_version, kind):
        yield WatchEvent("Listing")
        if self.failures:
            yield self.failures.pop()
        for item in self.listed:
            yield WatchEvent("Upserted", item)
        yield WatchEvent("Synced")
        raise AssertionError("a roll call follows nothing")

    async def missing(self) -> list[str]:
        gone: list[str] = []
        await self.call.hold(
            "RollbackPolicy",
            lambda: list(self.store.policies.values()),
            lambda held: gone.append(held.ref.name),
        )
        return gone


@pytest.mark.parametrize(
    ("listed", "there", "missing"),
    [
        ("ab", {"a": "a", "b": "b"}, []),
        ("a", {"a": "a"}, ["b"]),
        ("a", {"a": "a", "b": "b"}, []),
        ("a", {"a": "a", "b": "another"}, ["b"]),
    ],
    ids=["all are there", "one was deleted", "one came after the list", "one was made anew"],
)
async def test_who_is_there_no_longer(listed, there, missing):
    assert await Place("ab", listed, there).missing() == missing


@pytest.mark.parametrize("fails", ["the list", "the question"])
async def test_nobody_is_taken_for_gone_while_the_api_server_does_not_answer(fails):
    place = Place("ab", "a", {"a": "a", "b": "b"})
    if fails == "the list":
        place.failures = [WatchEvent("Unavailable", message="503")]
    else:
        answers = [Unavailable("503")]
        get = place.cluster.get

        async def unsure(ref):
            if answers:
                raise answers.pop()
            return await get(ref)

        place.cluster.get = unsure

    assert await place.missing() == []
    assert place.pauses == 1
