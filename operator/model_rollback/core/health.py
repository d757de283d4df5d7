"""Healthy time: how long a version was measured and found healthy. Only such time makes it Verified."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class HealthClock:
    """Time between two healthy ticks in a row, of one version.

    Attributes:
        digest: the version's identity; another version starts from nothing.
        last: the newest tick, when it was healthy.
        gained: healthy time that is not written down yet.
    """

    digest: str = ""
    last: datetime | None = None
    gained: timedelta = timedelta(0)

    def tick(self, digest: str, *, healthy: bool, now: datetime, longest_gap: timedelta) -> "HealthClock":
        """The clock after one more tick. A gap longer than `longest_gap`, or a clock set back, counts as nothing."""
        clock = self if self.digest == digest else HealthClock(digest)
        if not healthy:
            return replace(clock, last=None)
        gap = now - clock.last if clock.last is not None else timedelta(0)
        counted = gap if timedelta(0) <= gap <= longest_gap else timedelta(0)
        return replace(clock, last=now, gained=clock.gained + counted)

    def written(self) -> "HealthClock":
        """The clock once what was gained is written down."""
        return replace(self, gained=timedelta(0))
