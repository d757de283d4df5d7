"""Keeps kopf alive without sharing its fate: it ends on faults that pass, and is started again in this process.

kopf has a thread and an event loop of its own. When it ends, for whatever reason, it cancels every task of its loop
that is younger than itself; in a shared loop that would be the tick and the Rollback that are under way
(docs/decisions/0003).
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import kopf
import structlog

from model_rollback import telemetry
from model_rollback.handlers.forwarding import Forwarder
from model_rollback.handlers.registry import Inbox, build_registry
from model_rollback.handlers.tuning import nothing_remembered, tuned

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_STABLE_AFTER = 60.0
_CLOSING = 0.25
_LOOK = 0.25
_LISTED = 10.0
"""Seconds after which kopf, once it stands, has listed our kinds and follows them: from then on it misses nothing."""
# Else kopf names itself after the user, and a container's user has no name. Read by its peering only, which is off.
_OWN_ID: Any = "model-rollback"


class Watcher:
    """kopf under supervision. `ready` is set while it watches."""

    def __init__(
        self,
        inbox: Inbox,
        log_in: Callable[[], Awaitable[kopf.ConnectionInfo]],
        namespaces: Collection[str],
        watches_again: Callable[[], None],
    ) -> None:
        """`watches_again`: called when it watches after a time without: nobody else tells who was deleted then."""
        self._inbox = inbox
        self._watches_again = watches_again
        self._log_in = log_in
        self._namespaces = tuple(namespaces)
        self._stopping = False
        self._stop: Callable[[], None] = lambda: None
        self.ready = threading.Event()

    async def run(self) -> None:
        """Until `stop`. kopf is started again with a pause that grows while it keeps failing."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        again: asyncio.Task[None] | None = None
        while not self._stopping:
            began = loop.time()
            error = await self._run_once(loop)
            self.ready.clear()
            if again is not None:
                again.cancel()
            if self._stopping:
                return
            said = f"{type(error).__name__}: {error}" if error is not None else "without an error"
            log.error("kopf ended; it is started again", error=said, pause_seconds=pause)
            telemetry.KOPF_RESTARTS.inc()
            await asyncio.sleep(pause)
            again = asyncio.create_task(self._tell_when_ready())
            pause = _FIRST_PAUSE if loop.time() - began > _STABLE_AFTER else min(2 * pause, _LONGEST_PAUSE)

    async def _tell_when_ready(self) -> None:
        while not self.ready.is_set():  # noqa: ASYNC110 - it is set by another thread
            await asyncio.sleep(_LOOK)
        await asyncio.sleep(_LISTED)
        self._watches_again()

    def stop(self) -> None:
        """Asks `run` to end."""
        self._stopping = True
        self._stop()

    async def _run_once(self, loop: asyncio.AbstractEventLoop) -> BaseException | None:
        ended: asyncio.Future[BaseException | None] = loop.create_future()

        def work() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._kopf(loop))
            except BaseException as caught:  # noqa: BLE001 - the thread must report whatever ended it
                error = caught
            _call_if_open(loop, lambda: None if ended.done() else ended.set_result(error))

        # A daemon, so that a kopf that will not end cannot keep the process from ending.
        threading.Thread(target=work, name="kopf", daemon=True).start()
        return await ended

    async def _kopf(self, engine_loop: asyncio.AbstractEventLoop) -> None:
        own_loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        self._stop = lambda: _call_if_open(own_loop, stop.set)

        async def log_in() -> kopf.ConnectionInfo:
            return await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(_awaited(self._log_in), engine_loop)
            )

        await kopf.operator(
            registry=build_registry(Forwarder(self._inbox, engine_loop), log_in),
            settings=tuned(self._namespaces),
            memories=nothing_remembered(),
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            standalone=True,
            identity=_OWN_ID,
            stop_flag=stop,
            ready_flag=self.ready,
        )
        # aiohttp closes TLS connections in the background, and with the loop they would be dropped unclosed.
        await asyncio.sleep(_CLOSING)


async def _awaited(make: Callable[[], Awaitable[kopf.ConnectionInfo]]) -> kopf.ConnectionInfo:
    return await make()


def _call_if_open(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
        loop.call_soon_threadsafe(call)
