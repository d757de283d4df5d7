"""Something between the operator and a server that fails, as networks and servers do, when a test says so."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from tests.support.api_proxy import trust, write_through
from tests.support.closing import Closing
from tests.support.relay import Relay, asked, cut_off, hang_up, pass_on

Fault = Callable[[str, str], int | None]
"""(method, path with query) → the status to answer with; 0 hangs up without an answer; None forwards."""

HANG = -1
"""A status of a Fault: the request is taken and never answered."""


class Gateway(Closing):
    """Passes everything on, streams as they come, except what falls under the fault of the moment."""

    def __init__(self, upstream: str, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._fault: Fault = lambda _method, _target: None
        self._open: dict[asyncio.Transport, tuple[str, str, aiohttp.ClientResponse]] = {}
        self._relay = Relay(self._pass_on, upstream, tls=tls, port=port)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._relay.url

    def fail(self, fault: Fault) -> None:
        """From now on; what is under way and falls under it is cut off."""
        self._relay.call(self._begin(fault))

    def cut(self) -> None:
        """Nobody gets through any more."""
        self.fail(lambda _method, _target: 0)

    def hang(self) -> None:
        """Whoever asks from now on waits for ever, unless it hangs up itself."""
        self.fail(lambda _method, _target: HANG)

    def mend(self) -> None:
        """Everything gets through again."""
        self.fail(lambda _method, _target: None)

    def close(self) -> None:
        """Ends it, and every connection through it."""
        self._relay.close()

    async def _begin(self, fault: Fault) -> None:
        self._fault = fault
        for transport, (method, target, answer) in list(self._open.items()):
            if fault(method, target) is not None:
                transport.abort()
                cut_off(answer)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        method, target = request.method, request.path_qs
        transport = request.transport
        status = self._fault(method, target)
        if status == HANG:
            await asyncio.Event().wait()
        if status == 0 or not isinstance(transport, asyncio.Transport):
            hang_up(request)
            return web.Response(status=500)
        if status is not None:
            return web.json_response({"kind": "Status", "code": status, "message": "not now"}, status=status)
        body = await request.read() if request.can_read_body else None
        try:
            async with self._relay.upstream.request(
                method, request.raw_path, headers=asked(request), data=body
            ) as answer:
                self._open[transport] = (method, target, answer)
                try:
                    return await pass_on(request, answer)
                finally:
                    self._open.pop(transport, None)
        except aiohttp.ClientError:
            hang_up(request)
            return web.Response(status=502)


def api_server_gateway(kubeconfig: Path, folder: Path) -> tuple[Gateway, Path]:
    """A gateway in front of the API server of a kubeconfig with a token, and a kubeconfig that leads through it."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    gateway = Gateway(cluster["server"], tls=trust(cluster))
    return gateway, write_through(config, gateway.url, folder / "through-gateway.kubeconfig")
