"""Ends clusters and removes their folders: asked for, or because their owner ended."""

import shutil
import tempfile
import time
from pathlib import Path

from .console import say
from .locks import locked
from .places import cluster_dir, lock_path, logs_kept, state_root
from .processes import end_members
from .realnode import leftovers
from .record import folders, load

_LOGS_KEPT = 10
"""Number of failed clusters whose logs are kept."""


def name_lock(name: str) -> Path:
    """Lock on all changes of the cluster `name`."""
    return lock_path(f"cluster-{name}")


def remove(folder: Path) -> None:
    """End all processes of the cluster in `folder` and remove it; call with the name's lock held."""
    end_members(folder)
    leftovers.remove(folder)
    with tempfile.TemporaryDirectory(
        dir=state_root(), prefix=".removing-", ignore_cleanup_errors=True
    ) as doomed:
        folder.rename(Path(doomed) / folder.name)


def keep_logs(folder: Path) -> Path:
    """Copy the logs of the cluster in `folder` to where they outlive it, and give that place."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    logs_kept().mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(dir=logs_kept(), prefix=f"{folder.name}-{stamp}-"))
    for source in (*folder.glob("logs/*"), *folder.glob("kwok/clusters/*/logs/*"), folder / "cluster.json"):
        if source.is_file():
            shutil.copy(source, target)
    for old in sorted(logs_kept().iterdir(), key=lambda kept: kept.stat().st_mtime)[:-_LOGS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def down(name: str, *, with_logs: bool = False) -> None:
    """End the cluster `name`, whoever owns it. No cluster of that name is fine too."""
    folder = cluster_dir(name)
    with locked(name_lock(name), waiting=f"another process changes cluster {name}, waiting for it"):
        if not folder.exists():
            say(f"there is no cluster {name}")
            return
        if with_logs:
            say(f"logs of cluster {name} are kept in {keep_logs(folder)}")
        remove(folder)
        say(f"cluster {name} is gone")


def remove_orphan(name: str) -> bool:
    """Remove the cluster `name` if nobody answers for it any more; tell whether it was removed."""
    folder = cluster_dir(name)
    if not _orphaned(folder):
        return False
    with locked(name_lock(name), waiting=f"another process changes cluster {name}, waiting for it"):
        if not folder.exists() or not _orphaned(folder):
            return False
        remove(folder)
    say(f"removed cluster {name}: the process that owned it has ended")
    return True


def _orphaned(folder: Path) -> bool:
    """Without a readable record a folder is a leftover of an `up` or `down` that was killed."""
    record = load(folder)
    return record is None or record.orphaned()


def reap() -> list[str]:
    """Remove every orphan of this user and give their names."""
    for leftover in state_root().glob(".removing-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return [folder.name for folder in folders() if remove_orphan(folder.name)]
