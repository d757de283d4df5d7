"""Carries watch events from kopf's thread into the loop of the engine, in their order and many at a time.

A wake-up for each of twenty thousand events would make the two threads wait for each other twenty thousand times.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import structlog

from model_rollback.handlers.registry import Inbox

log = structlog.get_logger(__name__)

_TURN: Final = 0.005
"""Seconds after which everybody else on the loop has a turn."""


class Forwarder:
    """An inbox for kopf's thread; `inbox` is called in `loop` only."""

    def __init__(self, inbox: Inbox, loop: asyncio.AbstractEventLoop) -> None:
        self._inbox = inbox
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_called = False

    def on_policy(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """See `Inbox`."""
        self._put(partial(self._inbox.on_policy, body, deleted=deleted))

    def on_system(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """See `Inbox`."""
        self._put(partial(self._inbox.on_system, body, deleted=deleted))

    def on_rollback(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """See `Inbox`."""
        self._put(partial(self._inbox.on_rollback, body, deleted=deleted))

    def _put(self, call: Callable[[], None]) -> None:
        self._waiting.append(call)
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        until = self._loop.time() + _TURN
        while self._waiting:
            if self._loop.time() > until:
                self._loop.call_soon(self._deliver)
                return
            call = self._waiting.popleft()
            try:
                call()
            except Exception:
                log.exception("a watch event was not understood")
        self._is_called = False
        if self._waiting:  # put by the other thread while it believed that somebody was on the way
            self._is_called = True
            self._loop.call_soon(self._deliver)
