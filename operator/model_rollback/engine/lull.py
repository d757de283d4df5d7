"""The moment at which a stream of arrivals pauses: a fleet that is being listed comes as one stream."""

import asyncio
from typing import Final

_QUIET: Final = 0.25
_LONGEST: Final = 10.0


class Lull:
    """What costs the same for one arrival as for thousands waits for it."""

    def __init__(self) -> None:
        self._newest = float("-inf")

    def came(self) -> None:
        """One more arrival."""
        self._newest = asyncio.get_running_loop().time()

    async def wait(self) -> None:
        """Returns when nothing has come for a quarter of a second, after ten seconds in any case."""
        now = asyncio.get_running_loop().time
        end = now() + _LONGEST
        while (left := min(self._newest + _QUIET, end) - now()) > 0:  # noqa: ASYNC110 - an event for each arrival costs more
            await asyncio.sleep(left)
