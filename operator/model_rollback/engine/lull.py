"""The moment at which a stream of arrivals pauses: a fleet that is being listed comes as one stream."""

import asyncio
from typing import Final

_QUIET: Final = 0.5
_LONGEST_QUIET: Final = 1.5
_SHARE: Final = 0.5
_ANOTHER: Final = 10.0
"""After so long without any, what comes is a stream of its own."""
_LOOK_EVERY: Final = 0.1
"""For its end may be said, too."""
_LONGEST: Final = 30.0
"""Ten thousand ModelDeployments take ten to twenty seconds to come; what is done in their midst is done again."""


class Lull:
    """What costs the same for one arrival as for thousands waits for it.

    The longer a stream has lasted, the longer a pause it may make: a page of a list takes its time on a busy machine.
    """

    def __init__(self) -> None:
        self._first = self._newest = float("-inf")

    def end(self) -> None:
        """Nothing more of this stream comes."""
        self._newest = float("-inf")

    def came(self) -> None:
        """One more arrival."""
        now = asyncio.get_running_loop().time()
        if now - self._newest > _ANOTHER:
            self._first = now
        self._newest = now

    @property
    def _end(self) -> float:
        """When the stream is over unless something comes."""
        if self._newest == float("-inf"):
            return self._newest
        lasted = self._newest - self._first
        return self._newest + min(max(_QUIET, _SHARE * lasted), _LONGEST_QUIET)

    async def wait(self) -> None:
        """Returns when the stream has paused, a short one for half a second; after half a minute anyway."""
        now = asyncio.get_running_loop().time
        latest = now() + _LONGEST
        while (left := min(self._end, latest) - now()) > 0:  # noqa: ASYNC110 - an event for each arrival costs more
            await asyncio.sleep(min(left, _LOOK_EVERY))
