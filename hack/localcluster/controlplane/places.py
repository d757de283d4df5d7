"""Where things lie: built programs in the cache folder, clusters in the state folder (XDG)."""

import os
import re
from pathlib import Path

from .errors import LocalClusterError

SOURCE = Path(__file__).resolve().parent.parent
"""The folder with go.mod, stages.yaml and audit-policy.yaml."""

_RESERVED = frozenset({"logs-kept"})
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


def cache_root() -> Path:
    """Folder of everything that can be made again: built programs, a fetched Go."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "model-rollback" / "localcluster"


def state_root() -> Path:
    """Folder of the running clusters, one sub-folder each."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "model-rollback" / "localcluster"


def logs_kept() -> Path:
    """Folder where the logs of failed clusters stay."""
    return state_root() / "logs-kept"


def lock_path(what: str) -> Path:
    """File that is locked (flock) while `what` is changed; it outlives the thing it guards."""
    return state_root() / ".locks" / f"{what}.lock"


def cluster_dir(name: str) -> Path:
    """Folder of the cluster `name`; refuses names that could leave the state folder."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        msg = (
            f"{name!r} is no name for a cluster: use 1 to 40 lower-case letters, digits and dashes, "
            "beginning and ending with a letter or digit (and not `logs-kept`)"
        )
        raise LocalClusterError(msg)
    return state_root() / name
