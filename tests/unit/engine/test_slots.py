"""How many Rollbacks move at once, who is next, and that a slot is never lost."""

import asyncio

import pytest

from model_rollback.engine.slots import Slots


class Line:
    """Two slots; whoever is served is noted and stays until it is let go."""

    def __init__(self):
        self.slots = Slots(2)
        self.served = []
        self.inside = {}

    async def ask(self, name, *, begun=False):
        self.inside[name] = asyncio.Event()

        async def work():
            async with self.slots.take(begun=begun):
                self.served.append(name)
                await self.inside[name].wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        return task

    async def leave(self, name):
        self.inside[name].set()
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
def line():
    return Line()


async def test_no_more_than_the_bound_are_served_and_all_are_in_the_end(line):
    tasks = [await line.ask(name) for name in "abcd"]
    assert line.served == ["a", "b"]

    for name in "abcd":
        await line.leave(name)

    assert line.served == ["a", "b", "c", "d"]
    await asyncio.gather(*tasks)


async def test_what_has_begun_goes_before_what_has_not(line):
    for name in "ab":
        await line.ask(name)
    await line.ask("new")
    await line.ask("begun", begun=True)

    await line.leave("a")

    assert line.served == ["a", "b", "begun"]


@pytest.mark.parametrize("given", [False, True], ids=["in line", "just as its turn came"])
async def test_who_is_cancelled_takes_no_slot_along(line, given):
    for name in "ab":
        await line.ask(name)
    gone = await line.ask("gone")
    await line.ask("next")

    if given:
        line.inside["a"].set()
        await asyncio.sleep(0)
    gone.cancel()
    await line.leave("a")
    await line.leave("b")

    assert line.served[2:] == ["next"]
    await line.leave("next")
    last = [await line.ask(name) for name in ("x", "y")]
    assert line.served[-2:] == ["x", "y"]
    for name, task in zip("xy", last, strict=True):
        await line.leave(name)
        await task


async def test_an_error_gives_its_slot_back(line):
    with pytest.raises(RuntimeError, match="no answer"):
        async with line.slots.take(begun=True):
            raise RuntimeError("no answer")

    for name in "ab":
        await line.ask(name)
    assert line.served == ["a", "b"]
