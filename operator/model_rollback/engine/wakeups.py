"""Who needs attention, and when: a set of keys that are due now and a heap of keys that become due."""

import asyncio
import heapq
from datetime import datetime
from typing import Generic, TypeVar

from model_rollback.ports import Clock

K = TypeVar("K")


class Wakeups(Generic[K]):
    """Coalesces: a key that is woken many times before it is served is served once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now: dict[K, None] = {}
        self._later: list[tuple[datetime, int, K]] = []
        self._count = 0
        self._woken = asyncio.Event()

    def wake(self, key: K) -> None:
        """Due now."""
        self._now[key] = None
        self._woken.set()

    def at(self, key: K, moment: datetime) -> None:
        """Due at `moment`."""
        self._count += 1
        heapq.heappush(self._later, (moment, self._count, key))
        self._woken.set()

    async def due(self) -> list[K]:
        """Waits for at least one key that is due; gives each once."""
        while True:
            self._woken.clear()
            now = self._clock.now()
            while self._later and self._later[0][0] <= now:
                self._now[heapq.heappop(self._later)[2]] = None
            if self._now:
                keys = list(self._now)
                self._now.clear()
                return keys
            await wait_until(self._clock, self._woken, self._later[0][0] if self._later else None)


async def wait_until(clock: Clock, event: asyncio.Event, moment: datetime | None) -> None:
    """Returns when the event is set, or at `moment`, whichever comes first."""
    if moment is None:
        await event.wait()
        return
    waiting = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep_until(moment))]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
