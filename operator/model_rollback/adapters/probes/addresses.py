"""Which addresses a probe may not be led to, however they are written."""

import ipaddress
from collections.abc import Iterator
from typing import Final

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200"))
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")


def refused_address(text: str) -> str | None:
    """Why an address is not asked; None: it may be. `text` is an address as a resolver or the API server gives it."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    return next((why for one in _meanings(ip) if (why := _refused(one)) is not None), None)


def _meanings(ip: Ip) -> Iterator[Ip]:
    """The address itself and the IPv4 address that an IPv6 one carries inside."""
    yield ip
    if isinstance(ip, ipaddress.IPv4Address):
        return
    inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64 or ip in _COMPATIBLE:
        inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    yield from (address for address in inner if address is not None)


def _refused(ip: Ip) -> str | None:
    if ip in _METADATA:
        return "a cloud metadata address"
    kinds = {
        "a loopback address": ip.is_loopback,
        "a link-local address": ip.is_link_local or (ip.version == 6 and ip.is_site_local),
        "an unspecified address": ip.is_unspecified or ip in _THIS_NETWORK,
        "a multicast address": ip.is_multicast,
        "a reserved address": ip.version == 4 and ip.is_reserved,
    }
    return next((name for name, applies in kinds.items() if applies), None)
