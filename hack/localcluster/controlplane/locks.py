"""Locks between processes, held by the kernel: they end with their holder, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .console import say


@contextmanager
def locked(path: Path, *, waiting: str) -> Iterator[None]:
    """Hold the exclusive lock on `path`; say `waiting` once when another process has it.

    The file is removed at the end, so a waiter may find itself with the lock on a file that is gone; it then
    begins anew with the file that is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    said = False
    while True:
        with path.open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    say(waiting)
                    said = True
                fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_current(handle, path):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_current(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
