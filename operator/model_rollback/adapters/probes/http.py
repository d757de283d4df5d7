"""HTTP probes: one bounded request that goes to the named Service of the namespace, or to a host that was allowed."""

import asyncio
import ipaddress
import json
import os
import re
import socket
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from model_rollback.adapters.connection import user_agent
from model_rollback.adapters.probes.addresses import refused_address
from model_rollback.adapters.probes.services import Address, Services
from model_rollback.api.v1alpha1.probe import HttpProbe
from model_rollback.errors import OutsideError
from model_rollback.ports import ProbeAnswer

TIMEOUT: Final = 5.0
BODY_LIMIT: Final = 64 * 1024

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(?!.{254})[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_STEP = re.compile(r"[.]([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]{1,4})\]")
_ABSENT: Final = object()


def parse_overrides(overrides: Mapping[str, str]) -> dict[Address, Address]:
    """`{"recommender.shop.svc:8080": "127.0.0.1:18080"}` as host and port to address and port.

    Raises:
        ValueError: an entry of another form.
    """
    return {_endpoint(name): _endpoint(address, literal=True) for name, address in overrides.items()}


def _endpoint(text: str, *, literal: bool = False) -> Address:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        number = int(port)
        if literal:
            ipaddress.ip_address(host)
    except ValueError:
        number = 0
    if not host or not 1 <= number <= 65535:
        what = "address:port with an IP address" if literal else "host:port"
        raise ValueError(
            f"probes.resolve: {text!r} is not {what}; write recommender.shop.svc:8080=127.0.0.1:18080"
        )
    return host, number


class ServiceProbes:
    """`HttpProbes` over aiohttp. Neither redirects, proxies, DNS nor the Service itself lead it anywhere else.

    A Service is found by the API server's word (`adapters.probes.services`), a host of `allowed_hosts` by DNS. Every
    address is checked, and the connection goes to the very address that was checked.
    """

    def __init__(
        self,
        services: Services,
        resolve: Mapping[str, str] | None = None,
        allowed_hosts: Collection[str] = (),
        *,
        seconds: float = TIMEOUT,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        """Takes the two lists of the operator's own settings.

        Args:
            resolve: see `parse_overrides`; for operators that run outside the cluster. These are not checked.
            allowed_hosts: `host:port` that probes may ask outside of their namespace.
            seconds: per probe, for everything.
        """
        self._services = services
        self._overrides = parse_overrides(resolve or {})
        self._allowed = frozenset(allowed_hosts)
        self._seconds = seconds
        self._body_limit = body_limit

    async def ask(self, namespace: str, probe: HttpProbe, expected_version: str) -> ProbeAnswer:
        """See `ports.HttpProbes`."""
        host = probe.host or f"{probe.service}.{namespace}.svc"
        if not _LABEL.fullmatch(namespace) or not _HOST.fullmatch(host):
            return ProbeAnswer("Unknown", "", f"{host} is not the name of a Service or of a host")
        url = URL(f"{probe.scheme.lower()}://{host}:{probe.port}{probe.path}", encoded=True)
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._find(namespace, host, probe)
                return await self._request(url, found, probe, expected_version)
        except TimeoutError:
            return ProbeAnswer("Unknown", "", f"{url} did not answer within {self._seconds:g} s")
        except OutsideError as error:
            return ProbeAnswer("Unknown", "", f"{url} could not be asked: {error}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return ProbeAnswer("Unknown", "", f"{url} could not be asked: {_reason(error)}")

    async def _find(self, namespace: str, host: str, probe: HttpProbe) -> list[Address]:
        """The addresses to connect to, none of which is refused. Raises OSError or ClusterError."""
        override = self._overrides.get((host, probe.port))
        if override is not None:
            return [override]
        if probe.service is not None:
            found = [await self._services.address(namespace, probe.service, probe.port)]
        elif f"{host}:{probe.port}" not in self._allowed:
            raise OSError(f"{host}:{probe.port} is not in the operator's setting probes.allowedHosts")
        else:
            answers = await asyncio.get_running_loop().getaddrinfo(host, probe.port, type=socket.SOCK_STREAM)
            found = [(str(address[0]), probe.port) for *_, address in answers]
        for ip, _ in found:
            if refused := refused_address(ip):
                raise OSError(f"its name resolves to {ip}, {refused}, which is not asked")
        return found

    async def _request(
        self, url: URL, found: Sequence[Address], probe: HttpProbe, expected_version: str
    ) -> ProbeAnswer:
        connector = aiohttp.TCPConnector(resolver=_Resolver(found), use_dns_cache=False, force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": user_agent(), "Accept": "application/json, */*;q=0.5"},
                timeout=aiohttp.ClientTimeout(total=None),  # `ask` has the one for everything, finding it too
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != probe.expect_status:
                return _wrong_status(url, response.status, probe.expect_status)
            if probe.expect_version is None:
                return ProbeAnswer("Passed", str(response.status), f"{url} answered {response.status}")
            body = await _bounded(response, self._body_limit)
        wanted = probe.expect_version.value or expected_version
        if body is None:
            return ProbeAnswer(
                "Failed",
                "",
                f"{url} answered more than {self._body_limit} bytes; expectVersion needs a short JSON",
            )
        return judge_version(str(url), body, probe.expect_version.json_path, wanted)


def judge_version(url: str, body: bytes, json_path: str, wanted: str) -> ProbeAnswer:
    """Whether `wanted` stands at `json_path` of the JSON `body`; scalars are compared as they are written in JSON."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ProbeAnswer(
            "Failed", "", f"{url} answered something that is not JSON, so it shows no {json_path}"
        )
    found = _at(document, json_path)
    if found is _ABSENT or isinstance(found, dict | list):
        what = "nothing" if found is _ABSENT else "no single value"
        return ProbeAnswer("Failed", "", f"{url} shows {what} at {json_path}, expected {wanted!r}")
    observed = found if isinstance(found, str) else json.dumps(found)
    observed = observed if len(observed) <= 128 else observed[:127] + "…"
    if observed == wanted:
        return ProbeAnswer("Passed", observed, f"{url} serves {observed!r}")
    return ProbeAnswer("Failed", observed, f"{url} serves {observed!r}, expected {wanted!r}")


def _at(document: Any, json_path: str) -> Any:
    for step in _STEP.finditer(json_path.removeprefix("$")):
        key, index = step.groups()
        if key is not None and isinstance(document, dict) and key in document:
            document = document[key]
        elif index is not None and isinstance(document, list) and int(index) < len(document):
            document = document[int(index)]
        else:
            return _ABSENT
    return document


def _wrong_status(url: URL, status: int, expected: int) -> ProbeAnswer:
    note = " (redirects are not followed)" if 300 <= status < 400 else ""
    return ProbeAnswer("Failed", str(status), f"{url} answered {status}{note}, expected {expected}")


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body, or None when it is longer than `limit` bytes."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(8192):
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _reason(error: Exception) -> str:
    """The innermost words: aiohttp wraps what the resolver and the socket said."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    # asyncio's own text for a failed connect names an address and no cause; a resolver's error number is none of errno.
    if isinstance(inner, OSError) and inner.errno and not isinstance(inner, socket.gaierror):
        return os.strerror(inner.errno)
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


class _Resolver(AbstractResolver):
    """Gives the addresses that were found and checked, whatever the name says to anybody else by now."""

    def __init__(self, found: Sequence[Address]) -> None:
        self._found = found

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port, family
        return [_result(host, *address) for address in self._found]

    async def close(self) -> None:
        """Holds nothing."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )
