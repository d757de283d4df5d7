"""What a machine must have for a real node, checked before anything is started."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import LocalClusterError

CNI_PROGRAMS = Path("/usr/lib/cni")
_PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "mount": "mount",
}
_IMAGE_PACKAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
"""What `hack/image/build` needs where no Docker engine answers: `make realnode` builds images, `up` does not."""
_CNI_PLUGINS = ("ptp", "host-local", "loopback")
_LONGEST_SOCKET_PATH = 107
"""Bytes that the kernel allows in the path of a Unix socket (`unix(7)`)."""


def require(folder: Path, socket: Path, *, images: bool = False) -> None:
    """Raise with what to do when this machine or this user cannot have a real node in `folder`.

    `images`: nor build the images that `make realnode` runs on it.
    """
    packages = _PACKAGES
    if images and not _docker_answers():
        packages = packages | _IMAGE_PACKAGES
    problems = list(_problems(folder, socket, packages))
    if problems:
        raise LocalClusterError("a real node cannot run here:\n  " + "\n  ".join(problems))


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = subprocess.run([docker, "version"], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return asked.returncode == 0


def _problems(folder: Path, socket: Path, packages: Mapping[str, str]) -> Iterator[str]:
    if os.geteuid() != 0:
        yield "it needs root: containers, mounts and interfaces are made"
    missing = {package for program, package in packages.items() if shutil.which(program) is None}
    if not all((CNI_PROGRAMS / plugin).is_file() for plugin in _CNI_PLUGINS):
        missing.add("containernetworking-plugins")
    if missing:
        yield f"programs are missing: apt-get install --no-install-recommends {' '.join(sorted(missing))}"
    if not Path("/sys/fs/cgroup/cpuset").is_dir():
        yield "cgroups of version 1 are needed (nothing is at /sys/fs/cgroup/cpuset); with version 2 use kind"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET_PATH:
        yield f"the path {folder} is too long for a socket in it: shorten the name or set XDG_STATE_HOME"
