"""What is known about a cluster, kept as `cluster.json` in its folder while the cluster exists."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .places import state_root
from .processes import Identity

PORT_NAMES = (
    "etcd", "etcdPeer", "kubeApiserver", "kubeControllerManager", "kubeScheduler", "kwokController", "prometheus",
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """A cluster. `owner`: it lives as long as this process; None: kept until `down`. `creator`: ran `up`."""

    name: str
    folder: Path
    programs: Path
    owner: Identity | None
    creator: Identity
    ports: Mapping[str, int]
    prometheus: bool
    state: Literal["starting", "ready"] = "starting"

    @property
    def path(self) -> Path:
        """File of this record."""
        return self.folder / "cluster.json"

    @property
    def kwok_folder(self) -> Path:
        """Folder in which kwokctl keeps this cluster."""
        return self.folder / "kwok" / "clusters" / self.name

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the administrator, complete in itself; its context is `kwok-NAME`."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Audit events, one JSON object (audit.k8s.io/v1 Event) a line, written as requests complete."""
        return self.kwok_folder / "logs" / "audit.log"

    @property
    def pod_log(self) -> Path:
        """File that `kubectl logs` shows for every pod; lines as CRI writes them."""
        return self.folder / "pods.log"

    @property
    def prometheus_config(self) -> Path:
        """Configuration of this cluster's Prometheus (JSON, hence YAML too); POST /-/reload after a change."""
        return self.folder / "prometheus" / "prometheus.yml"

    @property
    def prometheus_url(self) -> str:
        """Base URL of this cluster's Prometheus."""
        return f"http://127.0.0.1:{self.ports['prometheus']}"

    def orphaned(self) -> bool:
        """Tell whether nobody answers for it any more: its owner ended, or its `up` did before it was ready."""
        if self.state == "starting" and not self.creator.alive():
            return True
        return self.owner is not None and not self.owner.alive()

    def ready(self) -> "Record":
        """The same cluster, once it is up."""
        return replace(self, state="ready")

    def save(self) -> None:
        """Write the file as a whole or not at all."""
        temporary = self.path.with_suffix(".tmp")
        content = asdict(self) | {"folder": str(self.folder), "programs": str(self.programs)}
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.rename(self.path)


def _identity(content: dict[str, Any] | None) -> Identity | None:
    return Identity(**content) if content else None


def load(folder: Path) -> Record | None:
    """The record in `folder`; None when there is none or it cannot be read (a cluster half removed)."""
    try:
        content = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
        return Record(
            **content
            | {
                "folder": Path(content["folder"]),
                "programs": Path(content["programs"]),
                "owner": _identity(content["owner"]),
                "creator": Identity(**content["creator"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def folders() -> Iterator[Path]:
    """Folders of all clusters of this user, running or left over."""
    root = state_root()
    if root.exists():
        for entry in sorted(root.iterdir()):
            if entry.is_dir() and not entry.name.startswith(".") and entry.name != "logs-kept":
                yield entry


def all_records() -> list[Record]:
    """Records of all clusters of this user."""
    return [found for folder in folders() if (found := load(folder))]
