"""Free TCP ports on loopback, below the range that the kernel gives to outgoing connections."""

import random
import socket
from collections.abc import Collection

from .errors import LocalClusterError

_LOWEST, _HIGHEST = 20000, 32000
HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(count: int, taken: Collection[int]) -> list[int]:
    """Give `count` different free ports that are not in `taken` (those of clusters still starting)."""
    candidates = random.sample(range(_LOWEST, _HIGHEST), k=2000)
    free: list[int] = []
    for port in candidates:
        if len(free) == count:
            return free
        if port not in taken and is_free(port):
            free.append(port)
    msg = f"found only {len(free)} free ports between {_LOWEST} and {_HIGHEST}; {count} are needed"
    raise LocalClusterError(msg)


def listening(port: int) -> bool:
    """Tell whether somebody accepts connections on `port`."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
