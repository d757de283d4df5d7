"""Processes by identity, from /proc (Linux): who is alive, who belongs to which cluster, and ending them.

A process id alone is never trusted, as ids are used again. An owner is a pid with its start time and the
boot it belongs to. The processes of a cluster carry the cluster's folder in an environment variable that
only they have; it is read again through an open pidfd before the signal is sent, so that the signal cannot
reach a later process of the same number.
"""

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import LocalClusterError

MARK = "LOCALCLUSTER_COMPONENT_OF"
"""Environment variable set only for the processes of one cluster or build; its value is that one's folder."""

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "env"})
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Identity:
    """One process of one boot. `started`: clock ticks since boot (field 22 of /proc/PID/stat)."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Tell whether exactly this process still runs (a zombie does not)."""
        return identify(self.pid) == self


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; the second may hold any characters."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def identify(pid: int) -> Identity | None:
    """Identity of the running process `pid`, or None when there is none."""
    try:
        fields = _stat_fields(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return Identity(pid=pid, started=int(fields[19]), boot=boot)


def require_identity(pid: int) -> Identity:
    """Identity of `pid`; an error with a way out when it does not run."""
    found = identify(pid)
    if found is None:
        msg = f"no process {pid} runs that could own the cluster: give --owner a living pid, or --keep"
        raise LocalClusterError(msg)
    return found


def nearest_non_shell_ancestor() -> int:
    """Process id of the first ancestor that is no shell: the program that a wrapper script acts for."""
    pid = os.getppid()
    while pid > 1 and Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() in _SHELLS:
        pid = int(_stat_fields(pid)[1])
    return pid


def wait_for_end(owner: Identity) -> None:
    """Return when the process `owner` has ended; at once when it already has. Uses no CPU meanwhile."""
    try:
        handle = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return
    try:
        if owner.alive():
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll()
    finally:
        os.close(handle)


def _carries_mark(pid: int, folder: Path) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return f"{MARK}={folder}".encode() in environment.split(b"\0")


def members(folder: Path) -> Iterator[int]:
    """Ids of the running processes that belong to the cluster or build in `folder`, without the caller's."""
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        if pid != os.getpid() and _carries_mark(pid, folder):
            yield pid


def _kill_member(pid: int, folder: Path) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _carries_mark(pid, folder):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def end_members(folder: Path, *, timeout: float = 20.0) -> None:
    """End every process that belongs to `folder` and wait until none is left (`timeout` in seconds).

    SIGKILL, as their data is thrown away; repeated, as one of them may have started another meanwhile.
    """
    deadline = time.monotonic() + timeout
    while left := list(members(folder)):
        if time.monotonic() > deadline:
            msg = f"processes {left} of {folder} do not end, though killed: look at `ps`"
            raise LocalClusterError(msg)
        for pid in left:
            _kill_member(pid, folder)
        time.sleep(0.01)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends; for `preexec_fn` of a child."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
