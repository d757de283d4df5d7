"""Keeps Python's garbage collector from walking all that is known again and again.

What the store holds lives long: hundreds of thousands of objects. A full collection walks them all and holds the
event loop for a second; frozen, they are left out, and what comes later is collected as ever.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

EVERY: Final = 15.0
_CHANGE: Final = 0.1
_YOUNG: Final = (20_000, 50, 100)
"""Thresholds of Python's collector. With its own (700, 10, 10) a fleet that is being read is walked dozens of times."""


class Freezer:
    """Freezes what is there when the number of things known has grown or shrunk by a tenth and rests."""

    def __init__(self, known: Callable[[], int]) -> None:
        self._known = known
        self._seen = 0
        self._frozen = 0

    def look(self) -> bool:
        """Whether it froze now. Two looks in a row must see the same number."""
        known, before = self._known(), self._seen
        self._seen = known
        if known != before or abs(known - self._frozen) <= _CHANGE * self._frozen:
            return False
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._frozen = known
        return True

    async def run(self) -> None:
        """Endless."""
        gc.set_threshold(*_YOUNG)
        while True:
            await asyncio.sleep(EVERY)
            self.look()
