"""A proxy in front of the API server: it writes down every mutating request and can hold one of them.

One process talks to it in plain HTTP on the loopback interface, with its own credentials, which are passed on as they
are; towards the API server it is TLS again. Reads, watches and streams pass through. What is held is told to the
test, which decides how the network "failed".
"""

import asyncio
import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import yaml
from aiohttp import web

MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Stage = Literal["before", "after"]
"""Held before it is forwarded: nothing has reached the API server. After: it has answered, and nobody knows."""

_HOP_BY_HOP = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_NOT_ASKED_FOR = _HOP_BY_HOP | {"accept-encoding"}  # so that answers can be read here
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10)
_LARGEST = 16 * 2**20
_CLOSING_SECONDS = 0.25
_STOP_SECONDS = 20.0


@dataclass
class Request:
    """One mutating request, dry runs included. `code` and `answer` are None until the API server has answered."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    code: int | None = None
    answer: Any = None

    @property
    def dry_run(self) -> bool:
        return "dryRun" in self.query

    @property
    def resource(self) -> str:
        """`deployments`, or with its subresource `rollbacks/status`; a review that belongs to no namespace too."""
        parts = self.path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        if parts[0] == "namespaces" and len(parts) > 2:
            parts = parts[2:]
        return "/".join([parts[0], *parts[2:]])


@dataclass(frozen=True)
class _Reply:
    """What the client gets. `code` None: the connection is closed without an answer."""

    code: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Held:
    """The first request that a condition fits, held at one stage until the test says what becomes of it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fits: Callable[[Request], bool], stage: Stage
    ) -> None:
        self.stage = stage
        self.request: Request | None = None
        self._fits = fits
        self._loop = loop
        self._caught = threading.Event()
        self._abandoned = threading.Event()
        self._verdict: asyncio.Future[_Reply | None] = loop.create_future()

    @property
    def caught(self) -> bool:
        """Whether a request is or was held."""
        return self.request is not None

    def wait(self, timeout: float) -> Request:
        """Until a request is held.

        Raises:
            TimeoutError: none came that fits.
        """
        if not self._caught.wait(timeout) or self.request is None:
            raise TimeoutError(f"no request to hold came within {timeout:g} s")
        return self.request

    def wait_abandoned(self, timeout: float) -> None:
        """Until the client has given the held request up, by its own time-out or because it died."""
        if not self._abandoned.wait(timeout):
            raise TimeoutError(f"the client did not give the held request up within {timeout:g} s")

    def drop(self) -> None:
        """Closes the connection; what was held before it was forwarded is never forwarded."""
        self._settle(_Reply(None))

    def answer(self, code: int, message: str) -> None:
        """Gives the client this refusal, whatever the API server has said."""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
        self._settle(_Reply(code, {"Content-Type": "application/json"}, json.dumps(status).encode()))

    def go_on(self) -> None:
        """Forwards it, or passes the answer on; a client that is gone does not hinder that."""
        self._settle(None)

    def close(self) -> None:
        """Nothing will be held any more; ends every waiting."""
        self.drop()
        self._caught.set()
        self._abandoned.set()

    def _settle(self, verdict: _Reply | None) -> None:
        def settle() -> None:
            if not self._verdict.done():
                self._verdict.set_result(verdict)

        self._loop.call_soon_threadsafe(settle)

    def _takes(self, request: Request) -> bool:
        return self.request is None and self._fits(request)

    async def _hold(self, request: Request) -> _Reply | None:
        self.request = request
        self._caught.set()
        return await asyncio.shield(self._verdict)


class ApiProxy:
    """Serves in a thread of its own from `with` to its end. `requests` is the journal, in the order they came."""

    def __init__(self, kubeconfig: Path) -> None:
        """`kubeconfig`: names the API server and the credentials of the process that talks through this."""
        self._kubeconfig = yaml.safe_load(kubeconfig.read_text())
        self._cluster = self._kubeconfig["clusters"][0]["cluster"]
        self.requests: list[Request] = []
        self.url = ""
        self._held: list[Held] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="API proxy", daemon=True)
        self._exchanges: set[asyncio.Task[_Reply]] = set()

    def write_kubeconfig(self, path: Path) -> Path:
        """The same credentials with this proxy as the server."""
        path.touch(mode=0o600)
        clusters = [{**self._kubeconfig["clusters"][0], "cluster": {"server": self.url}}]
        path.write_text(yaml.safe_dump(self._kubeconfig | {"clusters": clusters}))
        return path

    def hold(self, fits: Callable[[Request], bool], stage: Stage) -> Held:
        """Arms the proxy for the next request that fits; `fits` is asked in the order of the journal."""
        held = Held(self._loop, fits, stage)
        self._held.append(held)
        return held

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in self._held:
            held.close()
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_STOP_SECONDS)

    async def _start(self) -> None:
        self._upstream = aiohttp.ClientSession(
            base_url=self._cluster["server"],
            connector=aiohttp.TCPConnector(limit=0, ssl=_trust(self._cluster)),
            timeout=_PATIENCE,
            auto_decompress=False,
        )
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A client that hangs up ends the stream behind it; a write under way is shielded from that.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        assert self._upstream.connector is not None
        await self._upstream.connector.close(abort_ssl=True)
        await self._upstream.close()
        # Aborted TLS connections are closed by callbacks that follow; aiohttp has nothing to wait for but time.
        await asyncio.sleep(_CLOSING_SECONDS)

    async def _serve(self, incoming: web.Request) -> web.StreamResponse:
        if incoming.method not in MUTATING:
            return await self._stream(incoming)
        body = await incoming.read()
        request = Request(
            incoming.method, incoming.path, dict(incoming.query), json.loads(body) if body else None
        )
        self.requests.append(request)
        held = next((h for h in self._held if h._takes(request)), None)
        exchange = asyncio.create_task(self._exchange(request, incoming, body, held))
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._exchanges.discard)
        try:
            reply = await asyncio.shield(exchange)
        except asyncio.CancelledError:
            if held is not None:
                held._abandoned.set()
            raise
        if reply.code is None:
            _hang_up(incoming)
        return web.Response(status=reply.code or 500, headers=reply.headers, body=reply.body)

    async def _exchange(
        self, request: Request, incoming: web.Request, body: bytes, held: Held | None
    ) -> _Reply:
        if held is not None and held.stage == "before":
            instead = await held._hold(request)
            if instead is not None:
                return instead
        reply = await self._forward(request, incoming, body)
        if held is not None and held.stage == "after":
            return await held._hold(request) or reply
        return reply

    async def _forward(self, request: Request, incoming: web.Request, body: bytes) -> _Reply:
        try:
            async with self._upstream.request(
                incoming.method, incoming.raw_path, headers=_asked(incoming), data=body
            ) as answer:
                data = await answer.read()
        except aiohttp.ClientError:
            return _Reply(None)
        with contextlib.suppress(ValueError):
            request.answer = json.loads(data)
        request.code = answer.status
        return _Reply(answer.status, _passed_on(answer), data)

    async def _stream(self, incoming: web.Request) -> web.StreamResponse:
        try:
            async with self._upstream.request(
                incoming.method, incoming.raw_path, headers=_asked(incoming)
            ) as answer:
                outgoing = web.StreamResponse(status=answer.status, headers=_passed_on(answer))
                try:
                    await outgoing.prepare(incoming)
                    async for chunk in answer.content.iter_any():
                        await outgoing.write(chunk)
                    await outgoing.write_eof()
                except BaseException:
                    _abort(answer)
                    raise
        except aiohttp.ClientError:
            _hang_up(incoming)
            return web.Response(status=502)
        return outgoing


def _trust(cluster: dict[str, Any]) -> ssl.SSLContext:
    data = cluster.get("certificate-authority-data")
    return ssl.create_default_context(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(data).decode() if data else None
    )


def _asked(incoming: web.Request) -> dict[str, str]:
    return {key: value for key, value in incoming.headers.items() if key.lower() not in _NOT_ASKED_FOR}


def _passed_on(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP}


def _abort(answer: aiohttp.ClientResponse) -> None:
    """Ends a stream at once: an orderly end of TLS waits for the other side, longer than this proxy lives."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()


def _hang_up(incoming: web.Request) -> None:
    """As a network does that fails: no answer, the connection reset."""
    if incoming.transport is not None:
        incoming.transport.abort()
