"""How many Rollbacks are begun, or moved towards their patch, at the same moment.

In a storm the others stand in line in memory, and none is lost: what has begun goes first, so that the first systems
are back soon instead of all of them late. Who waits for pods, probes or people stands in no line and takes no slot.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import AsyncIterator


class Slots:
    """At most `most` are taken at once. What has begun is served before what has not, else in the order of asking."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._numbers = itertools.count()
        self._line: list[tuple[bool, int, asyncio.Future[None]]] = []

    @contextlib.asynccontextmanager
    async def take(self, *, begun: bool) -> AsyncIterator[None]:
        """Waits for a slot and holds it inside the block."""
        if self._free:
            self._free -= 1
        else:
            await self._stand_in_line(begun)
        try:
            yield
        finally:
            self._pass_on()

    async def _stand_in_line(self, begun: bool) -> None:
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (not begun, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._pass_on()  # it was given just before
            raise

    def _pass_on(self) -> None:
        while self._line:
            _, _, turn = heapq.heappop(self._line)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
