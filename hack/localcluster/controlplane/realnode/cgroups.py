"""One cgroup in each hierarchy (version 1) that holds everything that runs on the node."""

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import LocalClusterError
from .layout import Layout

_ROOT = Path("/sys/fs/cgroup")


def _hierarchies() -> Iterator[Path]:
    for hierarchy in sorted(_ROOT.glob("*")):
        if (hierarchy / "tasks").is_file():
            yield hierarchy


def join(layout: Layout) -> None:
    """Put the calling process into the node's cgroup; what it starts is in there too."""
    for hierarchy in _hierarchies():
        group = hierarchy / layout.cgroup
        group.mkdir(exist_ok=True)
        for inherited in ("cpuset.cpus", "cpuset.mems"):  # empty in a new one, and then nothing may run there
            if (hierarchy / inherited).is_file():
                (group / inherited).write_text((hierarchy / inherited).read_text())
        (group / "cgroup.procs").write_text(str(os.getpid()))


def remove(layout: Layout, *, timeout: float = 20.0) -> None:
    """Remove the node's cgroup, once its processes have ended (`timeout` in seconds); fine when there is none."""
    deadline = time.monotonic() + timeout
    for hierarchy in _ROOT.glob(f"*/{layout.cgroup}"):
        while not _removed(hierarchy):
            if time.monotonic() > deadline:
                msg = f"processes in {hierarchy} do not end, though killed: look at its cgroup.procs"
                raise LocalClusterError(msg)
            time.sleep(0.02)


def _removed(group: Path) -> bool:
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                Path(folder).rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True
