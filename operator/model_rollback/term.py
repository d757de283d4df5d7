"""One term: stand by, lead, and lose the right to write, with an engine and watches of its own.

What was known in one term is not believed in the next: a replica that lost the Lease begins as if it had just been
started, in the same process.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from model_rollback import telemetry
from model_rollback.engine.leader import Leadership
from model_rollback.engine.runtime import Runtime
from model_rollback.handlers.supervisor import Watcher

log = structlog.get_logger(__name__)

_KOPF_EXIT = 8.0

Elected = Callable[[], Awaitable[int]]
"""Answers with the epoch as soon as this replica may write."""


class Term:
    """`run` once."""

    def __init__(
        self,
        leadership: Leadership,
        make_runtime: Callable[[Elected], Runtime],
        make_watcher: Callable[[Runtime], Watcher],
    ) -> None:
        self._leadership = leadership
        self._epoch: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.runtime = make_runtime(lambda: asyncio.shield(self._epoch))
        self._watcher = make_watcher(self.runtime)
        self._engine = asyncio.create_task(self.runtime.run(), name="engine")
        self._holding = asyncio.create_task(self._hold(), name="lease")
        self._watching = asyncio.create_task(self._watch(), name="kopf")

    @property
    def is_alive(self) -> bool:
        """Whether the engine runs."""
        return not self._engine.done()

    @property
    def is_warm(self) -> bool:
        """Whether this replica sees what there is, be it to act on it or to stand by."""
        return self._watcher.ready.is_set()

    async def run(self, stop: asyncio.Event, drain: Callable[[], Awaitable[None]]) -> None:
        """Until `stop`, the loss of the right to write, or the end of the engine. `drain`: sends what is queued.

        Raises:
            Exception: what ended the engine.
        """
        asked = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([asked, self._engine, self._holding], return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            await self._end(drain)

    async def _end(self, drain: Callable[[], Awaitable[None]]) -> None:
        failure = self._engine.exception() if self._engine.done() and not self._engine.cancelled() else None
        self._engine.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._engine
        self._watcher.stop()
        if self._holding.done() and not self._holding.cancelled() and failure is None:
            failure = self._holding.exception()
        elif not self._holding.done():
            await drain()
            self._holding.cancel()
            await asyncio.gather(self._holding, return_exceptions=True)
            await self._leadership.release()
        await asyncio.wait([self._watching], timeout=_KOPF_EXIT)
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        if failure is not None:
            raise failure

    async def _watch(self) -> None:
        await self.runtime.at_leisure()
        await self._watcher.run()

    async def _hold(self) -> None:
        epoch = await self._leadership.win()
        telemetry.LEADER.set(1)
        self._epoch.set_result(epoch)
        try:
            why = await self._leadership.keep()
            log.warning("this replica may not write any more; it stands by", epoch=epoch, because=why)
        finally:
            telemetry.LEADER.set(0)
