"""Starts a real node for a cluster and tells how it is, seen from this machine."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ..errors import LocalClusterError
from ..places import SOURCE, cluster_dir
from ..processes import MARK
from ..record import Record, load
from . import forwarding, inside, network, requirements, settings
from .layout import Layout

_NAMESPACES = ("--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")


def require(folder: Path, *, images: bool = False) -> None:
    """Raise with what to do when there can be no real node in the cluster folder `folder`.

    `images`: nor the images that `make realnode` builds for it.
    """
    requirements.require(folder, Layout(folder).socket, images=images)


def start(record: Record, programs: Path) -> subprocess.Popen[bytes]:
    """Make the node's namespaces and its cable; containerd starts, kubelet waits for `admit`.

    `programs`: folder with kubelet, kube-proxy and pause.
    """
    layout = Layout(record.folder)
    layout.folder.mkdir()
    command = ["unshare", *_NAMESPACES, sys.executable, str(SOURCE / "localcluster")]
    process = _spawn(record, "node", [*command, "node", record.name, str(programs)])
    network.connect(layout, _first_process(process))
    _spawn(record, "forward", [sys.executable, str(SOURCE / "localcluster"), "forward", record.name])
    return process


def _spawn(record: Record, log: str, command: list[str]) -> subprocess.Popen[bytes]:
    with (record.folder / "logs" / f"{log}.log").open("w", encoding="utf-8") as written:
        return subprocess.Popen(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=written, stderr=written, start_new_session=True,
            env=os.environ | {MARK: str(record.folder)},
        )  # fmt: skip


def _first_process(unshare: subprocess.Popen[bytes]) -> int:
    """Process id, on this machine, of the one process that `unshare` starts in the new namespaces."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        refuse_ended(unshare)
        if found := children.read_text(encoding="ascii").split():
            return int(found[0])
        time.sleep(0.01)
    msg = "`unshare` started nothing within 10 s"
    raise LocalClusterError(msg)


def refuse_ended(process: subprocess.Popen[bytes]) -> None:
    """Raise when the node has ended."""
    if process.poll() is not None:
        msg = "the node ended right after its start: see node.log"
        raise LocalClusterError(msg)


def admit(record: Record) -> None:
    """Let kubelet and kube-proxy start: the API server answers now."""
    layout = Layout(record.folder)
    found = _network(layout)
    pki = record.kwok_folder / "pki"
    shutil.copy(pki / "ca.crt", layout.folder)
    server = f"https://{found.machine}:{record.ports['kubeApiserver']}"
    temporary = layout.kubeconfig.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_text(settings.kubeconfig(server, pki), encoding="utf-8")
    temporary.rename(layout.kubeconfig)


def api_server_arguments(record: Record) -> Mapping[str, str]:
    """Arguments of kube-apiserver for a node that has the API server at another address than loopback."""
    found = _network(Layout(record.folder))
    pki = record.kwok_folder / "pki"
    return {
        "advertise-address": found.machine,
        "service-cluster-ip-range": found.services,
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-client-certificate": str(pki / "admin.crt"),
        "kubelet-client-key": str(pki / "admin.key"),
    }


def api_server_addresses(record: Record) -> tuple[str, str]:
    """Where the node, and where its pods find the API server."""
    found = _network(Layout(record.folder))
    return found.machine, found.api_service


def forward(name: str) -> None:
    """Be the process that brings connections of the node of the cluster `name` to its API server and Prometheus."""
    record = load(cluster_dir(name))
    if record:
        ports = [record.ports["kubeApiserver"], *([record.ports["prometheus"]] if record.prometheus else [])]
        forwarding.forward(_network(Layout(record.folder)).machine, ports)


def load_image(record: Record, archive: Path) -> None:
    """Give the images of an archive to the node."""
    if not archive.is_file():
        msg = f"there is no archive {archive}"
        raise LocalClusterError(msg)
    inside.load_image(Layout(record.folder), archive)


def machine_address(record: Record) -> str | None:
    """Address under which pods reach this machine; None when the cluster's node is no real one."""
    found = network.load(Layout(record.folder))
    return found.machine if found else None


def _network(layout: Layout) -> network.Network:
    found = network.load(layout)
    if found is None:
        msg = f"the cluster in {layout.cluster} has no real node: bring it up with `--node real`"
        raise LocalClusterError(msg)
    return found
