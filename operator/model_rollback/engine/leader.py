"""Which of several replicas writes: the one that holds a Lease. The others keep their knowledge warm and wait.

Time is this machine's monotonic clock, and only ever the time since something was seen here: clocks of two machines
are never compared, and the times inside the Lease are never read. The holder counts its right from the moment before
it sent the last renewal that succeeded; everybody else counts the Lease's duration from the moment after they saw it
change. So the holder stops before anybody else begins, whatever the clocks on the walls say.

A Lease does not fence a request that is under way already; that is done by the `test`s of each patch, the
`resourceVersion` of each status, the lock and the names of Rollbacks.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeVar

import structlog

from model_rollback.errors import ClusterError, Conflict
from model_rollback.ports import LeaseRecord, Leases

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds. Failover takes at most `duration` + `retry` + one request."""

    duration: float = 6.0
    """How long others respect a Lease that does not change."""
    renew_deadline: float = 4.0
    """How long the holder may write after its last renewal; the rest of `duration` is for stopping."""
    retry: float = 1.0
    """Between two looks, and between two renewals."""
    request: float = 2.0
    """The time-out of one request."""


class Move(Enum):
    """What a replica does about the Lease."""

    CREATE = "there is none"
    TAKE = "nobody holds it, or its holder does not renew it any more"
    WAIT = "somebody else holds it"


@dataclass(frozen=True, slots=True)
class Sight:
    """The Lease as last read, and the monotonic time at which this state of it was first seen."""

    record: LeaseRecord | None
    since: float

    def renewed(self, record: LeaseRecord | None, now: float) -> "Sight":
        """The sight after another read: the time runs on while nothing changed but what nobody reads."""
        same = self.record is not None and record is not None and record.same_term(self.record)
        return replace(self, record=record) if same else Sight(record, now)


def next_move(sight: Sight, rhythm: Rhythm, *, now: float) -> tuple[Move, float]:
    """What a replica that does not lead does next, and when; `now` or later.

    A duration written by another version of this program is respected when it is longer than our own.
    """
    if sight.record is None:
        return Move.CREATE, now
    if not sight.record.holder:
        return Move.TAKE, now
    expires = sight.since + max(rhythm.duration, sight.record.duration)
    return (Move.TAKE, now) if now >= expires else (Move.WAIT, expires)


class Leadership(Protocol):
    """Whether and since when this process may write."""

    def holds(self) -> bool:
        """Whether it may write now."""

    async def win(self) -> int:
        """Until it may write; the epoch."""

    async def keep(self) -> str:
        """Until it may no longer write; why."""

    async def release(self) -> None:
        """Nothing is written any more: somebody else may begin."""


class Alone:
    """`Leadership` of the only replica: it needs no Lease, and there is one epoch."""

    def holds(self) -> bool:
        """Always."""
        return True

    async def win(self) -> int:
        """At once."""
        return 0

    async def keep(self) -> str:
        """Endless."""
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def release(self) -> None:
        """Nobody waits."""


class Election:
    """`Leadership` by a Lease: `win`, `keep` until it is lost, then `win` again; `release` when this process ends.

    Attributes:
        epoch: the number of this term, growing with every change of the holder; 0: never led.
    """

    def __init__(
        self,
        leases: Leases,
        me: str,
        rhythm: Rhythm | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`me`: unique among all processes that ever ran."""
        self._leases = leases
        self._me = me
        self._rhythm = rhythm or Rhythm()
        self._monotonic = monotonic
        self._held: LeaseRecord | None = None
        self._until = 0.0
        self.epoch = 0

    def holds(self) -> bool:
        """Whether this replica may write now; true of a frozen process only until its right ran out."""
        return self._held is not None and self._monotonic() < self._until

    async def win(self) -> int:
        """Until this replica leads; the epoch of its term. Errors of the API server are waited out."""
        sight = Sight(None, self._monotonic())
        told = ""
        while True:
            try:
                sight = sight.renewed(await self._bounded(self._leases.read()), self._monotonic())
                move, at = next_move(sight, self._rhythm, now=self._monotonic())
                if move is not Move.WAIT and await self._take(sight.record):
                    log.info("leading", epoch=self.epoch, holder=self._me, because=move.value)
                    return self.epoch
                holder = sight.record.holder if sight.record is not None else ""
                if holder and holder != told:
                    log.info("standing by", holder=holder)
                told = holder
            except (ClusterError, TimeoutError) as error:
                log.warning("the lease cannot be read or taken", error=str(error) or "time-out")
                at = 0.0
            pause = self._rhythm.retry
            if at > self._monotonic():
                pause = min(pause, at - self._monotonic())
            await asyncio.sleep(pause)

    async def keep(self) -> str:
        """Renews until the Lease is lost; says why, at the latest when the right to write runs out."""
        try:
            while True:
                await asyncio.sleep(min(self._rhythm.retry, self._left()))
                if not self.holds():
                    return self._lost(f"no renewal succeeded for {self._rhythm.renew_deadline:g} s")
                try:
                    async with asyncio.timeout(self._left()):
                        await self._renew()
                except _LostError as lost:
                    return self._lost(str(lost))
                except (ClusterError, TimeoutError) as error:
                    log.warning("the lease could not be renewed", error=str(error) or "time-out")
        finally:
            self._until = 0.0

    async def release(self) -> None:
        """Lets the next one begin at once; to be called when nothing is written any more."""
        held, self._held, self._until = self._held, None, 0.0
        if held is None:
            return
        try:
            await self._bounded(self._leases.write("", held.transitions, over=held))
            log.info("lease released", epoch=self.epoch)
        except (ClusterError, TimeoutError) as error:
            log.warning("lease not released; it runs out by itself", error=str(error) or "time-out")

    async def _take(self, over: LeaseRecord | None) -> bool:
        sent = self._monotonic()
        transitions = over.transitions + 1 if over is not None else 1
        try:
            written = await self._bounded(self._leases.write(self._me, transitions, over=over))
        except Conflict:
            return False
        self._held, self._until = written, sent + self._rhythm.renew_deadline
        self.epoch = written.transitions
        return True

    async def _renew(self) -> None:
        held = self._held
        if held is None:
            raise _LostError("it was released")
        sent = self._monotonic()
        try:
            self._held = await self._bounded(self._leases.write(self._me, held.transitions, over=held))
        except (ClusterError, TimeoutError):
            # Somebody may have taken, edited or deleted it, or the answer to a renewal of ours was lost.
            now = await self._bounded(self._leases.read())
            if now is None:
                raise _LostError("somebody deleted the lease") from None
            if (now.holder, now.transitions) != (self._me, held.transitions):
                raise _LostError(f"{now.holder or 'nobody'} holds the lease now") from None
            self._held = now
            raise
        self._until = sent + self._rhythm.renew_deadline

    def _lost(self, why: str) -> str:
        self._held = None  # there is nothing to release
        return why

    def _left(self) -> float:
        return max(0.0, self._until - self._monotonic())

    async def _bounded(self, request: Awaitable[Answer]) -> Answer:
        async with asyncio.timeout(self._rhythm.request):
            return await request


class _LostError(Exception):
    """The Lease is not ours any more; the message says since when or by whom."""
