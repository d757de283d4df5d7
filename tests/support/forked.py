"""Processes that begin with everything imported: an operator starts in a tenth of a second instead of two.

A server process imports once and forks; what it forks is a process like any other, with its own pid and its own fate.
"""

import ctypes
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "tests.support.forked", "model_rollback.app"])
_ALONE = threading.Lock()
"""multiprocessing looks at all its children whenever one is started; two threads must not read one exit code."""
_POLL_SECONDS = 0.02
_MOST_FILES = 4096


class ForkedModule:
    """`python -m MODULE ARGUMENTS` with its output in a file; the part of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`names`: what DNS says of them in that process, one address at each question, the last one for ever."""
        log.touch()
        everything = (module, list(arguments), dict(environment), str(log), dict(names or {}))
        self._process = _CONTEXT.Process(target=_become, args=everything, daemon=True)
        with _ALONE:
            self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As of `subprocess`: negative for a signal, None while it runs."""
        with _ALONE:
            return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while (code := self.returncode) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
            time.sleep(_POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """To a process that runs; nothing otherwise."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _die_with_parent() -> None:
    """A test run that is killed leaves no operator behind: the server process ends with it, and this one then."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _play_dns(names: Mapping[str, Sequence[str]]) -> None:
    """The name server of whoever owns those names; every other name is asked for as ever."""
    ask, asked = socket.getaddrinfo, dict.fromkeys(names, 0)

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in names:
            return ask(host, *arguments, **options)
        answer = names[host][min(asked[host], len(names[host]) - 1)]
        asked[host] += 1
        return ask(answer, *arguments, **options)

    socket.getaddrinfo = getaddrinfo


def _become(
    module: str,
    arguments: list[str],
    environment: dict[str, str],
    log: str,
    names: Mapping[str, Sequence[str]],
) -> None:
    _die_with_parent()
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (sink, 1), (sink, 2)):
        os.dup2(source, target)
    os.closerange(3, _MOST_FILES)  # one of them would keep the server process alive when the test run is gone
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _play_dns(names)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
