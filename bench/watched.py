"""Runs the operator as `python -m model_rollback` does, and says of itself what cannot be seen from outside.

Into the file BENCH_WATCH: `evaluated`, seconds from the start of the process to the moment at which each of
BENCH_POLICIES policies had been evaluated, and `cpu`, the seconds of CPU that took; `lags`, how many seconds late the
event loop was, sampled every 10 ms between one SIGUSR1 and the next, because sampling costs something too.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import model_rollback.__main__ as program
from model_rollback.app import App
from model_rollback.settings import Settings

EVERY = 0.01


def _age() -> float:
    """Seconds since this process began."""
    began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")


class Watch:
    """What is said, and when."""

    def __init__(self, file: Path, policies: int) -> None:
        self._file = file
        self._policies = policies
        self._said: dict[str, Any] = {}
        self._sampling: asyncio.Task[None] | None = None

    async def until_evaluated(self, app: App) -> None:
        """Looks ten times a second until every policy has been evaluated."""
        await app.started.wait()
        while not self._all_evaluated(app):  # noqa: ASYNC110 - seen from outside, which has no event of it
            await asyncio.sleep(0.1)
        self._say(evaluated=_age(), cpu=time.process_time())

    def _all_evaluated(self, app: App) -> bool:
        policies = app.runtime.store.policies.values()
        return len(policies) >= self._policies and all(p.memories for p in policies)

    def toggle(self) -> None:
        """Begins to sample the loop's lag, or ends it and says what was seen."""
        if self._sampling is None:
            self._sampling = asyncio.create_task(self._sample())
        else:
            self._sampling.cancel()

    async def _sample(self) -> None:
        lags: list[float] = []
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                began = clock()
                await asyncio.sleep(EVERY)
                lags.append(max(0.0, clock() - began - EVERY))
        self._sampling = None
        self._say(lags=lags)

    def _say(self, **words: Any) -> None:
        self._said |= words
        half = self._file.with_suffix(".half")
        half.write_text(json.dumps(self._said))
        half.replace(self._file)


async def _run(settings: Settings) -> None:
    app = App(settings)
    watch = Watch(Path(os.environ["BENCH_WATCH"]), int(os.environ["BENCH_POLICIES"]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, watch.toggle)
    looking = asyncio.create_task(watch.until_evaluated(app))
    try:
        await app.run()
    finally:
        looking.cancel()


if __name__ == "__main__":
    program._run = _run
    sys.exit(program.main())
