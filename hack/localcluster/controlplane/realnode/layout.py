"""Where a real node keeps what; everything is below the cluster's folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths of the node of the cluster in `cluster`."""

    cluster: Path

    @property
    def folder(self) -> Path:
        """Everything of the node but its logs."""
        return self.cluster / "node"

    @property
    def logs(self) -> Path:
        """Logs of the node's programs, beside those of the control plane."""
        return self.cluster / "logs"

    @property
    def network(self) -> Path:
        """The node's addresses; there when the network is there."""
        return self.folder / "network.json"

    @property
    def kubeconfig(self) -> Path:
        """Of kubelet and kube-proxy, which start when it appears."""
        return self.folder / "kubeconfig"

    @property
    def socket(self) -> Path:
        """Of containerd."""
        return self.folder / "containerd.sock"

    @property
    def registries(self) -> Path:
        """`HOST:PORT/hosts.toml` in it tells containerd how to reach a registry; read at each pull."""
        return self.folder / "registries"

    @property
    def key(self) -> str:
        """Ten hexadecimal digits that no other cluster of this machine has."""
        return hashlib.sha256(bytes(self.cluster)).hexdigest()[:10]

    @property
    def interface(self) -> str:
        """Name of the machine's end of the cable to the node."""
        return f"lc{self.key}"

    @property
    def cgroup(self) -> str:
        """Name of the cgroup, in each hierarchy, that holds all processes of the node."""
        return f"localcluster-{self.key}"
