"""Phase-locked ticks: when the next sample lands, learned from how old the present ones are.

Prometheus scrapes a target and evaluates a rule group at a fixed offset of its interval, so the times of samples repeat
modulo that interval. A tick that comes just after them sees each sample while it is new; one at any other moment sees
it half an interval later on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

FIRST_MARGIN: Final = timedelta(milliseconds=15)
"""From a sample's own time to the tick; Prometheus shows it 6 to 11 ms after its time when the exporter is quick."""

_TOGETHER: Final = timedelta(milliseconds=60)
"""Samples whose phases lie within this arc count as landing together."""
_SHARE: Final = 0.9
"""This much of the series must land together for a lock; stragglers are seen a tick later, as without one."""
_STEADY: Final = timedelta(milliseconds=8)
"""A phase that moves less than this is measured anew and not a new phase."""
_LOOKS_AT_FIRST: Final = 4
_TICKS_BETWEEN_LOOKS: Final = 30


@dataclass(frozen=True, slots=True)
class Age:
    """So many series have a newest sample that is so old."""

    age: timedelta
    series: int


@dataclass(frozen=True, slots=True)
class Lock:
    """Where the ticks of one group lie.

    Attributes:
        offset: a tick is due at each multiple of the interval plus this.
        locked: whether the offset was learned; else the ticks are free.
        margin: between the samples and the tick.
        seen: the phase at the last look; two looks must agree before anything is locked.
        looks: how often the ages were looked at since it was lost, or was locked or moved.
        ticks: since the last look.
    """

    offset: timedelta = timedelta(0)
    locked: bool = False
    margin: timedelta = FIRST_MARGIN
    seen: timedelta | None = None
    looks: int = 0
    ticks: int = 0

    def ticked(self) -> "Lock":
        """After one more tick."""
        return replace(self, ticks=self.ticks + 1)

    @property
    def look_is_due(self) -> bool:
        """Whether the ages are to be asked at this tick: a few times in a row until it is locked and after each time
        that it moved, because the new moment may still be too early; then seldom."""
        return self.ticks >= _TICKS_BETWEEN_LOOKS or self.looks < _LOOKS_AT_FIRST


def next_tick(after: datetime, interval: timedelta, offset: timedelta = timedelta(0)) -> datetime:
    """The first multiple of `interval` since the epoch, plus `offset`, that is later than `after`."""
    return EPOCH + offset + ((after - EPOCH - offset) // interval + 1) * interval


def learn(
    lock: Lock, first: Sequence[Age], again: Sequence[Age], tick: datetime, interval: timedelta
) -> Lock:
    """The lock after a look.

    Args:
        first: the ages at `tick`, asked at once.
        again: the ages at `tick`, asked a little later: a sample that only these know became visible after its tick.
    """
    phase = common_phase(again, tick, interval)
    if phase is None or lock.seen is None or _apart(phase, lock.seen, interval) > _TOGETHER:
        return Lock(seen=phase, looks=0 if lock.locked else lock.looks + 1)
    margin = lock.margin
    if lock.locked and first and min(a.age for a in again) < min(a.age for a in first):
        margin = 2 * margin
        if margin > interval / 4:
            return Lock(looks=_LOOKS_AT_FIRST)
    offset = _milliseconds((phase + margin) % interval)
    if lock.locked and margin == lock.margin and _apart(offset, lock.offset, interval) < _STEADY:
        offset = lock.offset
    looks = lock.looks + 1 if lock.locked and offset == lock.offset else 0
    return Lock(offset, locked=True, margin=margin, seen=phase, looks=looks)


def common_phase(ages: Sequence[Age], tick: datetime, interval: timedelta) -> timedelta | None:
    """Where in the interval most samples land, given at the end of the arc; None: at many places, or nowhere."""
    total = sum(a.series for a in ages)
    if not total:
        return None
    phases = sorted(((tick - a.age - EPOCH) % interval, a.series) for a in ages)
    turns = [*phases, *((phase + interval, series) for phase, series in phases)]
    best: tuple[int, timedelta] | None = None
    left = inside = 0
    for right, (end, series) in enumerate(turns):
        inside += series
        while end - turns[left][0] > _TOGETHER or right - left >= len(phases):
            inside -= turns[left][1]
            left += 1
        if best is None or inside > best[0]:
            best = (inside, end)
    if best is None or best[0] < _SHARE * total:
        return None
    return best[1] % interval


def _apart(one: timedelta, other: timedelta, interval: timedelta) -> timedelta:
    distance = (one - other) % interval
    return min(distance, interval - distance)


def _milliseconds(value: timedelta) -> timedelta:
    """Times are written in milliseconds; rounded up, so that a tick is never before its samples."""
    return timedelta(milliseconds=-(-value // timedelta(milliseconds=1)))
