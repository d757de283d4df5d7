"""What the end of a node's namespaces does not remove by itself."""

from pathlib import Path

from . import cgroups, network
from .layout import Layout


def remove(cluster: Path) -> None:
    """Remove the cable and the cgroup of the node of the cluster in `cluster`; its processes have been ended.

    Fine when there is no node: then nothing has these names.
    """
    layout = Layout(cluster)
    if Path("/sys/class/net", layout.interface).exists():
        network.remove(layout)
    cgroups.remove(layout)
