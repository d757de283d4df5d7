"""Long work on the event loop that lets everybody else have their turn."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_TURN: Final = 0.005
"""Seconds; beyond it the loop would be noticeably late for others."""


async def each(items: Sequence[T], work: Callable[[T], Awaitable[None]], *, at_once: int = 1) -> None:
    """Does `work` for every item, begun in their order, at most `at_once` side by side.

    Work that waits for nothing is interrupted every few milliseconds. The first error cancels the rest.
    """
    clock = asyncio.get_running_loop().time
    waiting = iter(items)

    async def serve() -> None:
        began = clock()
        for item in waiting:
            await work(item)
            if clock() - began > _TURN:
                await asyncio.sleep(0)
                began = clock()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, len(items))):
            group.create_task(serve())
