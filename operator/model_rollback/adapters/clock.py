"""The clock on the wall."""

import asyncio
from datetime import UTC, datetime

_LONGEST_NAP = 10.0
"""Seconds; after each the wall clock is read again, because it may have been set meanwhile."""


class SystemClock:
    """`Clock` on the machine's own time."""

    def now(self) -> datetime:
        """See `ports.Clock`."""
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime) -> None:
        """See `ports.Clock`. A clock that is set back makes it longer, one that is set forward shorter."""
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - time tells no Event
            await asyncio.sleep(min(left, _LONGEST_NAP))
