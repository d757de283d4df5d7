"""Something between the operator and a server that fails, as networks and servers do, when a test says so."""

import asyncio
import base64
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

_HOP_BY_HOP = frozenset(
    {"connection", "transfer-encoding", "content-length", "host", "keep-alive", "date", "server"}
)

Fault = Callable[[str, str], int | None]
"""(method, path with query) → the status to answer with; 0 hangs up without an answer; None forwards."""


class Gateway:
    """An HTTP proxy on the loopback interface, in a thread of its own. Streams are passed on as they come."""

    def __init__(self, upstream: str, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._upstream = upstream.rstrip("/")
        self._tls = tls
        self._fault: Fault = lambda _method, _target: None
        self._open: dict[asyncio.Transport, tuple[str, str, aiohttp.ClientResponse]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()
        self.port: int = self._call(self._serve(port))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, fault: Fault) -> None:
        """From now on; what is under way and falls under it is cut off."""
        self._call(self._begin(fault))

    def cut(self) -> None:
        """Nobody gets through any more."""
        self.fail(lambda _method, _target: 0)

    def mend(self) -> None:
        """Everything gets through again."""
        self.fail(lambda _method, _target: None)

    def close(self) -> None:
        self.cut()
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _begin(self, fault: Fault) -> None:
        self._fault = fault
        for transport, (method, target, answer) in list(self._open.items()):
            if fault(method, target) is not None:
                transport.abort()
                answer.close()

    async def _serve(self, port: int) -> int:
        self._session = aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(ssl=self._tls or True, limit=0)
        )
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def _end(self) -> None:
        await self._runner.cleanup()
        assert self._session.connector is not None
        await self._session.connector.close(abort_ssl=True)
        await self._session.close()
        # Transports that were closed say so to their protocols in the next turns of the loop.
        for _ in range(10):
            await asyncio.sleep(0)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        method, target = request.method, request.path_qs
        transport = request.transport
        status = self._fault(method, target)
        if status == 0 or not isinstance(transport, asyncio.Transport):
            if transport is not None:
                transport.abort()
            return web.Response(status=500)
        if status is not None:
            return web.json_response({"kind": "Status", "code": status, "message": "not now"}, status=status)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        body = await request.read() if request.can_read_body else None
        async with self._session.request(
            method, self._upstream + target, headers=headers, data=body, timeout=aiohttp.ClientTimeout()
        ) as answer:
            self._open[transport] = (method, target, answer)
            try:
                return await _relay(request, answer)
            finally:
                self._open.pop(transport, None)


async def _relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
    relayed = web.StreamResponse(status=answer.status, headers=headers)
    try:
        await relayed.prepare(request)
        async for chunk in answer.content.iter_any():
            await relayed.write(chunk)
        await relayed.write_eof()
    except (aiohttp.ClientError, OSError):
        if request.transport is not None:
            request.transport.abort()
    return relayed


def api_server_gateway(kubeconfig: Path, folder: Path) -> tuple[Gateway, Path]:
    """A gateway in front of the API server of a kubeconfig with a token, and a kubeconfig that leads through it."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster.pop("certificate-authority-data")).decode()
    gateway = Gateway(cluster["server"], tls=ssl.create_default_context(cadata=authority))
    cluster["server"] = gateway.url
    through = folder / "through-gateway.kubeconfig"
    through.touch(mode=0o600)
    through.write_text(yaml.safe_dump(config))
    return gateway, through
