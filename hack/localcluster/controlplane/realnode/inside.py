"""The node's first process: prepares the namespaces that it was started in, and runs the node's programs there."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ..errors import LocalClusterError
from ..places import cluster_dir
from . import cgroups, pause_image, settings
from .layout import Layout
from .network import Network, ip
from .network import load as load_network

Seen = TypeVar("Seen")

_WITHIN = 60.0
"""Seconds for each thing that is waited for."""
_KERNEL_SETTINGS = {
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}
"""What kubelet sets, by path below /proc/sys. They belong to the whole machine, so it is shown files instead."""


def run(name: str, programs: Path) -> None:
    """Be the node of the cluster `name`; return when one of its programs has ended. `programs`: kubelet and so on."""
    layout = Layout(cluster_dir(name))
    cgroups.join(layout)
    _mount(layout)
    network = _wait(lambda: load_network(layout), "the network")
    _configure(layout, network, name)
    running = {"containerd": _start(layout, "containerd", "--config", layout.folder / "containerd.toml")}
    _wait(layout.socket.exists, "containerd", running)
    pause_image.write(programs / "pause", layout.folder / "pause.tar")
    load_image(layout, layout.folder / "pause.tar")
    _wait(layout.kubeconfig.exists, "the control plane", running)
    running["kubelet"] = _start(
        layout, programs / "kubelet", f"--config={layout.folder / 'kubelet.json'}",
        f"--kubeconfig={layout.kubeconfig}", f"--root-dir={layout.folder / 'kubelet'}",
        f"--cert-dir={layout.folder / 'kubelet-pki'}", f"--hostname-override={name}", f"--node-ip={network.node}",
    )  # fmt: skip
    running["kube-proxy"] = _start(
        layout, programs / "kube-proxy", f"--config={layout.folder / 'kube-proxy.json'}"
    )
    _reap_until_one_ends({process.pid: name for name, process in running.items()})


def load_image(layout: Layout, archive: Path) -> None:
    """Give containerd the images of an archive, where the kubelet finds them."""
    command = ["ctr", f"--address={layout.socket}", "--namespace=k8s.io", "images", "import", str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        msg = f"containerd does not take {archive}: {(done.stderr or done.stdout).strip()}"
        raise LocalClusterError(msg)


def _mount(layout: Layout) -> None:
    """Mount over /run, /var and some files of /proc/sys: what is written there is in the cluster's folder or gone."""
    upper, work = layout.folder / "var", layout.folder / "var-work"
    for folder in (upper, work):
        folder.mkdir()
    _run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/var,upperdir={upper},workdir={work}", "/var")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    fakes = layout.folder / "proc-sys"
    fakes.mkdir()
    for path, value in _KERNEL_SETTINGS.items():
        fake = fakes / path.replace("/", ".")
        fake.write_text(value, encoding="ascii")
        _run("mount", "--bind", fake, f"/proc/sys/{path}")


def _configure(layout: Layout, network: Network, name: str) -> None:
    for device in ("lo", "eth0"):
        ip("link", "set", device, "up")
    ip("address", "add", f"{network.node}/30", "dev", "eth0")
    ip("route", "add", "default", "via", network.machine)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    files = {
        "containerd.toml": settings.containerd(layout),
        "cni/pods.conflist": settings.cni(network),
        "kubelet.json": settings.kubelet(layout, layout.folder / "ca.crt"),
        "kube-proxy.json": settings.kube_proxy(layout, network, name),
        "resolv.conf": "",
    }
    (layout.folder / "cni").mkdir()
    layout.registries.mkdir()
    for file, content in files.items():
        (layout.folder / file).write_text(content, encoding="utf-8")


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        msg = f"`{' '.join(map(str, command))}` ended with code {done.returncode}: {done.stderr.strip()}"
        raise LocalClusterError(msg)


def _start(layout: Layout, program: str | Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    found = shutil.which(program)
    if found is None:
        msg = f"there is no program {program}"
        raise LocalClusterError(msg)
    with (layout.logs / f"{Path(program).name}.log").open("w", encoding="utf-8") as log:
        return subprocess.Popen([found, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _wait(
    look: Callable[[], Seen], what: str, running: Mapping[str, subprocess.Popen[bytes]] | None = None
) -> Seen:
    """Give what `look` answers, once that is true; fail when one of `running` has ended."""
    deadline = time.monotonic() + _WITHIN
    while not (seen := look()):
        for program, process in (running or {}).items():
            if process.poll() is not None:
                msg = f"{program} ended with code {process.returncode}"
                raise LocalClusterError(msg)
        if time.monotonic() > deadline:
            msg = f"{what} was not there within {_WITHIN:.0f} s"
            raise LocalClusterError(msg)
        time.sleep(0.02)
    return seen


def _reap_until_one_ends(programs: Mapping[int, str]) -> None:
    """Take the exit codes of all that has lost its parent, as a first process must. `programs`: names by pid."""
    while True:
        pid, status = os.wait()
        if pid in programs:
            msg = f"{programs[pid]} ended with code {os.waitstatus_to_exitcode(status)}"
            raise LocalClusterError(msg)
