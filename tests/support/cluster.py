"""The cluster that the tests of one run share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cluster:
    """Where things are. Values only: what to do with them is in `commands`, `prometheus` and `audit`."""

    place: str
    """`local`, `kind` or `context`."""
    kubeconfig: Path
    binaries: Path
    """The folder with kubectl, helm, prometheus and promtool."""
    prometheus_url: str
    prometheus_configuration: Path
    audit_log: Path | None
    """None where the API server's log cannot be read (a context of the user's)."""
    scratch: Path
    """A folder of this run."""
    pod_log: Path | None = None
    """The file that `kubectl logs` shows for every pod (lines `TIME stdout F TEXT`); None where containers run."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment for programs that work on this cluster; nothing of the user's own settings is read."""
        home = self.scratch / "home"
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "HELM"))},
            "PATH": os.pathsep.join([str(self.binaries), os.environ.get("PATH", "")]),
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(home / "kube"),
            "HELM_CACHE_HOME": str(home / "helm/cache"),
            "HELM_CONFIG_HOME": str(home / "helm/config"),
            "HELM_DATA_HOME": str(home / "helm/data"),
            "PROMETHEUS_URL": self.prometheus_url,
        }
