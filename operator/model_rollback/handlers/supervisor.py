"""Keeps kopf alive without sharing its fate: it ends on faults that pass, and is started again in this process."""

import asyncio
from collections.abc import Callable, Collection

import kopf
import structlog

from model_rollback import telemetry
from model_rollback.handlers.tuning import tuned

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_STABLE_AFTER = 60.0


async def supervise(
    make_registry: Callable[[], kopf.OperatorRegistry],
    *,
    namespaces: Collection[str],
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    """Runs kopf until `stop` is set. `ready` is set while it watches."""
    loop = asyncio.get_running_loop()
    pause = _FIRST_PAUSE
    while not stop.is_set():
        began = loop.time()
        try:
            await kopf.operator(
                registry=make_registry(),
                settings=tuned(),
                clusterwide=not namespaces,
                namespaces=tuple(namespaces),
                standalone=True,
                stop_flag=stop,
                ready_flag=ready,
            )
        except Exception as error:  # noqa: BLE001 - whatever ended it, the watch must come back
            log.error(
                "kopf ended; it is started again", error=f"{type(error).__name__}: {error}", pause=pause
            )
        ready.clear()
        if stop.is_set():
            return
        telemetry.KOPF_RESTARTS.inc()
        pause = _FIRST_PAUSE if loop.time() - began > _STABLE_AFTER else min(2 * pause, _LONGEST_PAUSE)
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue
