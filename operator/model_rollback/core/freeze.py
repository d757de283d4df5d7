"""Freeze windows: stretches of time, begun by a cron schedule in a time zone, in which nothing is changed.

Daylight saving follows Debian's cron: a window that begins in the hour that is skipped in spring begins right after
it; one that begins in the hour that comes twice in autumn begins once, the first time. Its length is elapsed time.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim

from model_rollback.api.v1alpha1.guards import FreezeWindow

_JOINED = 64
"""So many windows that touch each other are followed to their end; then the next look goes on."""


def frozen(windows: Sequence[FreezeWindow], now: datetime) -> tuple[FreezeWindow, datetime] | None:
    """An open window, and when the last of those that touch each other ends (UTC); None when none is open."""
    window, until = None, now
    for _ in range(_JOINED):
        ends = [(_end(w, until), w) for w in windows]
        latest, last = max(
            ((e, w) for e, w in ends if e is not None), key=lambda x: x[0], default=(None, None)
        )
        if latest is None or latest <= until:
            break
        window, until = window or last, latest
    return (window, until) if window is not None else None


def _end(window: FreezeWindow, moment: datetime) -> datetime | None:
    """When the window that began last, at or before `moment`, ends; None when it never began."""
    began = _last_start(window.schedule, window.time_zone, moment.replace(second=0, microsecond=0))
    return began + window.duration if began is not None else None


@lru_cache(maxsize=4096)
def _last_start(schedule: str, time_zone: str, minute: datetime) -> datetime | None:
    """Cron has minutes: within one, every policy of one schedule gets one answer."""
    local = (minute + timedelta(seconds=1)).astimezone(ZoneInfo(time_zone))
    began = next(CronSim(schedule, local, reverse=True), None)
    return began.astimezone(UTC) if began is not None else None
