"""The node's cable to this machine, and its addresses: nothing beyond this machine is reached through it."""

import ipaddress
import json
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ..errors import LocalClusterError
from ..locks import locked
from ..places import lock_path
from .layout import Layout

_RANGE = ipaddress.ip_network("10.213.0.0/16")


@dataclass(frozen=True)
class Network:
    """One /24 for one node: its first quarter is the cable, the second the Services, the other half the pods."""

    subnet: str

    def _part(self, prefix: int, index: int) -> ipaddress.IPv4Network:
        return list(ipaddress.IPv4Network(self.subnet).subnets(new_prefix=prefix))[index]

    @property
    def machine(self) -> str:
        """Address under which the node and its pods reach this machine."""
        return str(self._part(30, 0)[1])

    @property
    def node(self) -> str:
        """Address of the node."""
        return str(self._part(30, 0)[2])

    @property
    def services(self) -> str:
        """Range of the ClusterIPs."""
        return str(self._part(26, 1))

    @property
    def api_service(self) -> str:
        """ClusterIP of the Service `kubernetes`: the first of its range."""
        return str(self._part(26, 1)[1])

    @property
    def pods(self) -> str:
        """Range of the pods."""
        return str(self._part(25, 1))


def ip(*words: str) -> str:
    """Run `ip` and give what it prints."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        msg = f"`ip {' '.join(words)}` ended with code {done.returncode}: {done.stderr.strip()}"
        raise LocalClusterError(msg)
    return done.stdout


def connect(layout: Layout, namespace_of: int) -> Network:
    """Lay the cable between this machine and the network namespace of the process `namespace_of`.

    The machine routes Services and pods into it. Both ends vanish with that namespace.
    """
    with locked(lock_path("networks"), waiting="another process chooses a network, waiting for it"):
        network = Network(str(_free_subnet()))
        cable = ("type", "veth", "peer", "name", "eth0", "netns", str(namespace_of))
        ip("link", "add", layout.interface, *cable)
        ip("address", "add", f"{network.machine}/30", "dev", layout.interface)
        ip("link", "set", layout.interface, "up")
        for destination in (network.services, network.pods):
            ip("route", "add", destination, "via", network.node, "dev", layout.interface)
    temporary = layout.network.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(network)) + "\n", encoding="utf-8")
    temporary.rename(layout.network)
    return network


def load(layout: Layout) -> Network | None:
    """The network of a cluster's node; None for a cluster without one."""
    try:
        return Network(**json.loads(layout.network.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _free_subnet() -> ipaddress.IPv4Network:
    used = list(_routes())
    for candidate in _RANGE.subnets(new_prefix=24):
        if not any(candidate.overlaps(other) for other in used):
            return candidate
    msg = f"every part of {_RANGE} has a route already: look at `ip route`"
    raise LocalClusterError(msg)


def _routes() -> Iterator[ipaddress.IPv4Network]:
    for route in json.loads(ip("-json", "-4", "route", "show", "table", "all")):
        if route["dst"] != "default":
            yield ipaddress.IPv4Network(route["dst"], strict=False)


def remove(layout: Layout) -> None:
    """Take the cable away; fine when it goes at this moment by itself."""
    subprocess.run(["ip", "link", "delete", layout.interface], capture_output=True, timeout=30, check=False)
