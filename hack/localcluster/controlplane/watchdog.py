"""A small process beside each owned cluster: sleeps until the owner ends, then removes the cluster."""

import os
import subprocess
import sys

from .places import SOURCE, cluster_dir
from .processes import MARK, wait_for_end
from .record import Record, load
from .removal import remove_orphan


def start(record: Record) -> None:
    """Start the watchdog of `record` in the background; `down` ends it with the rest of the cluster."""
    with (record.folder / "logs" / "watchdog.log").open("w", encoding="utf-8") as log:
        subprocess.Popen(
            [sys.executable, str(SOURCE / "localcluster"), "watch", record.name],
            cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {MARK: str(record.folder)},
        )  # fmt: skip


def watch(name: str) -> None:
    """Be the watchdog of the cluster `name`."""
    record = load(cluster_dir(name))
    if record and record.owner:
        wait_for_end(record.owner)
        remove_orphan(name)
