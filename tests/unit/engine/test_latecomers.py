"""Targets of ModelDeployments that came late: few cost a read each, many cost one list."""

import asyncio

import pytest

from model_rollback.engine.latecomers import Latecomers
from model_rollback.engine.lull import Lull
from model_rollback.ports import ObjectRef

DEPLOYMENTS = ("apps/v1", "Deployment")


class Kind:
    """What was read and listed of a kind; a list shows all but those in `hidden`."""

    def __init__(self, hidden=()):
        self.looked, self.lists, self.unseen = [], 0, set()
        self.hidden = set(hidden)
        self.lull = Lull()
        self.late = Latecomers(
            is_unseen=self.unseen.__contains__, look=self.look, list_all=self.list_all, lull=self.lull
        )

    async def look(self, late):
        await asyncio.sleep(0)
        self.looked.append(late[0][1])
        self.unseen.discard(late)

    async def list_all(self, gvk):
        assert gvk == DEPLOYMENTS
        await asyncio.sleep(0)
        self.lists += 1
        self.unseen -= {late for late in self.unseen if late[0][1] not in self.hidden}

    async def come(self, names):
        for name in names:
            late = (("shop", name), ObjectRef(*DEPLOYMENTS, "shop", name))
            self.unseen.add(late)
            self.late.add(*late)
        while self.unseen:  # noqa: ASYNC110 - the end is seen from outside
            await asyncio.sleep(0)


async def test_a_few_are_read_one_by_one():
    kind = Kind()
    await kind.come(["a", "b"])
    assert (kind.looked, kind.lists) == (["a", "b"], 0)


@pytest.mark.parametrize("many", [21, 10_000])
async def test_many_are_seen_by_one_list_and_the_rest_by_reads(many):
    kind = Kind(hidden={"m7"})
    await kind.come([f"m{n}" for n in range(many)])
    assert (kind.looked, kind.lists) == (["m7"], 1)


async def test_a_fleet_that_comes_bit_by_bit_is_seen_by_one_list():
    kind = Kind()
    for part in range(20):
        for name in (f"m{part}-{n}" for n in range(50)):
            late = (("shop", name), ObjectRef(*DEPLOYMENTS, "shop", name))
            kind.unseen.add(late)
            kind.lull.came()
            kind.late.add(*late)
        await asyncio.sleep(0.001)
    async with asyncio.timeout(60):
        while kind.unseen:  # noqa: ASYNC110 - the end is seen from outside
            await asyncio.sleep(0.01)
    assert (kind.looked, kind.lists) == ([], 1)


async def test_who_comes_later_is_served_too():
    kind = Kind()
    await kind.come(["a"])
    await kind.come(["b"])
    assert kind.looked == ["a", "b"]


async def test_it_ends_when_told():
    kind = Kind()
    kind.late.add(("shop", "a"), ObjectRef(*DEPLOYMENTS, "shop", "a"))
    await kind.late.stop()
    assert kind.looked == []
