"""Long work on the event loop that lets everybody else have their turn."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_PART: Final = 50
_TURN: Final = 0.005
"""Seconds; beyond it the loop would be noticeably late for others."""


class Turns:
    """For long work whose pieces come one by one and wait for nothing."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    async def give(self) -> None:
        """Lets everybody else have their turn when this one has lasted for a few milliseconds."""
        if self._clock() - self._began > _TURN:
            await asyncio.sleep(0)
            self._began = self._clock()


async def all_in_turns(items: Sequence[T], work: Callable[[T], None]) -> None:
    """As `each`, for quick work that waits for nothing; a task or a coroutine for each item would cost more than it."""
    turns = Turns()
    for start in range(0, len(items), _PART):
        for item in items[start : start + _PART]:
            work(item)
        await turns.give()


async def each(items: Sequence[T], work: Callable[[T], Awaitable[None]], *, at_once: int = 1) -> None:
    """Does `work` for every item, begun in their order, at most `at_once` side by side.

    Work that waits for nothing is interrupted every few milliseconds. The first error cancels the rest.
    """
    waiting = iter(items)

    async def serve() -> None:
        turns = Turns()
        for item in waiting:
            await work(item)
            await turns.give()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, len(items))):
            group.create_task(serve())
