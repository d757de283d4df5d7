"""A real node that ends leaves the machine as it was, however it ends."""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hack.localcluster.controlplane.places import cluster_dir
from hack.localcluster.controlplane.processes import identify
from hack.localcluster.controlplane.realnode.layout import Layout

from tests.realnode.pods import deployment, model_image
from tests.support import places
from tests.support.commands import Kubectl
from tests.support.waiting import wait_until

OF_THE_MACHINE = [
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/ip_forward",
    "net/netfilter/nf_conntrack_max",
    "vm/overcommit_memory",
]
"""Settings of the kernel that kubelet, kube-proxy and plugins change where they may."""


@dataclass(frozen=True)
class Machine:
    """What a node could leave behind. Other clusters come and go meanwhile: so only what bears this one's name."""

    interface: str
    cgroup: str
    folder: Path

    def traces(self) -> list[str]:
        """Interfaces, routes, cgroups, mounts and files of the node."""
        found = [f"interface {self.interface}"] if Path("/sys/class/net", self.interface).exists() else []
        found += [str(group) for group in Path("/sys/fs/cgroup").glob(f"*/{self.cgroup}")]
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        found += [mount for mount in mounts if str(self.folder) in mount]
        return [*found, str(self.folder)] if self.folder.exists() else found


def settings() -> dict[str, str]:
    """The kernel's settings as they are."""
    paths = [Path("/proc/sys", name) for name in OF_THE_MACHINE]
    return {str(path): path.read_text() for path in paths if path.exists()}


def rules() -> list[str]:
    """The packet filter's tables outside of the node."""
    done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.splitlines()


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[bytes]]:
    """A process that a cluster belongs to."""
    with subprocess.Popen(["sleep", "900"]) as process:
        yield process
        process.kill()


@pytest.fixture
def name() -> Iterator[str]:
    """Of a cluster that is gone when the test has ended."""
    chosen = f"gone-{uuid.uuid4().hex[:8]}"
    yield chosen
    places.localcluster("down", chosen)


@pytest.mark.parametrize("end", ["down", "the owner is killed"])
def test_nothing_is_left(
    end: str, name: str, owner: subprocess.Popen[bytes], archive: Callable[[str], Path]
) -> None:
    layout = Layout(cluster_dir(name))
    machine = Machine(layout.interface, layout.cgroup, layout.cluster)
    before = (settings(), rules())
    places.localcluster("up", name, "--node=real", f"--owner={owner.pid}", "--no-prometheus")
    places.localcluster("load", name, str(archive(model_image("v12"))))
    about = places.local_cluster(name)
    kubectl = Kubectl(
        Path(about["LOCALCLUSTER_BIN"]) / "kubectl", os.environ | {"KUBECONFIG": about["KUBECONFIG"]}
    )
    kubectl.apply(deployment("v12"))
    kubectl("rollout", "status", "deployment/recommender", "--timeout=90s")
    pods = kubectl.json("get", "pods")["items"]
    assert len({pod["status"]["podIP"] for pod in pods}) == 2
    assert f"interface {machine.interface}" in machine.traces()
    servers = containers_of(machine)
    assert servers

    if end == "down":
        places.localcluster("down", name)
    else:
        owner.send_signal(signal.SIGKILL)
    wait_until(machine.traces, 60, accept=lambda left: not left, describe="the machine to be as before")

    assert containers_of(machine) == []
    # A zombie has ended; when its entry goes is up to the machine's first process.
    assert [pid for pid in servers if identify(int(pid)) is not None] == []
    assert (settings(), rules()) == before
    routes = json.loads(
        subprocess.run(["ip", "-json", "route"], capture_output=True, timeout=30, check=True).stdout
    )
    assert machine.interface not in {route.get("dev") for route in routes}


def containers_of(machine: Machine) -> list[str]:
    """Process ids, on this machine, of all that runs in the node's cgroup."""
    return sorted(
        pid
        for tasks in Path("/sys/fs/cgroup/pids", machine.cgroup).glob("**/cgroup.procs")
        for pid in tasks.read_text().split()
    )
