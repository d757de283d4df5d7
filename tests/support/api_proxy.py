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
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
import yaml
from aiohttp import web

from tests.support.closing import Closing
from tests.support.relay import Relay, answered, asked, hang_up, pass_on

MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Stage = Literal["before", "after"]
"""Held before it is forwarded: nothing has reached the API server. After: it has answered, and nobody knows."""


@dataclass
class Request:
    """One mutating request, dry runs included. `code` and `answer` are None until the API server has answered.

    `at`: when it came, by the monotonic clock.
    """

    method: str
    path: str
    query: dict[str, str]
    body: Any
    code: int | None = None
    answer: Any = None
    at: float = field(default_factory=time.monotonic)

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

    def answer(
        self, code: int, message: str, *, causes: Sequence[str] = (), retry_after: int | None = None
    ) -> None:
        """Gives the client this refusal, whatever the API server has said; also before anything is held."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        status |= {"message": message, "details": {"causes": [{"message": cause} for cause in causes]}}
        headers = {"Content-Type": "application/json"}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        self._settle(_Reply(code, headers, json.dumps(status).encode()))

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


class ApiProxy(Closing):
    """Serves from its creation until `close`. `requests` is the journal, in the order they came."""

    def __init__(self, kubeconfig: Path) -> None:
        """`kubeconfig`: names the API server and the credentials of the process that talks through this."""
        self._kubeconfig = yaml.safe_load(kubeconfig.read_text())
        self.requests: list[Request] = []
        self._held: list[Held] = []
        self._exchanges: set[asyncio.Task[_Reply]] = set()
        cluster = self._kubeconfig["clusters"][0]["cluster"]
        self._relay = Relay(self._serve, cluster["server"], tls=trust(cluster))

    def write_kubeconfig(self, path: Path) -> Path:
        """The same credentials with this proxy as the server."""
        return write_through(self._kubeconfig, self._relay.url, path)

    def hold(self, fits: Callable[[Request], bool], stage: Stage) -> Held:
        """Arms the proxy for the next request that fits; `fits` is asked in the order of the journal."""
        held = Held(self._relay.loop, fits, stage)
        self._held.append(held)
        return held

    def close(self) -> None:
        """Lets go of everything that is held and ends."""
        for held in self._held:
            held.close()
        self._relay.close()

    async def _serve(self, incoming: web.Request) -> web.StreamResponse:
        if incoming.method not in MUTATING:
            return await self._stream(incoming)
        body = await incoming.read()
        request = Request(
            incoming.method, incoming.path, dict(incoming.query), json.loads(body) if body else None
        )
        self.requests.append(request)
        held = next((h for h in self._held if h._takes(request)), None)
        # A client that hangs up ends a stream behind it; a write under way is shielded from that.
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
            hang_up(incoming)
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
            async with self._relay.upstream.request(
                incoming.method, incoming.raw_path, headers=asked(incoming), data=body
            ) as answer:
                data = await answer.read()
        except aiohttp.ClientError:
            return _Reply(None)
        with contextlib.suppress(ValueError):
            request.answer = json.loads(data)
        request.code = answer.status
        return _Reply(answer.status, answered(answer), data)

    async def _stream(self, incoming: web.Request) -> web.StreamResponse:
        try:
            async with self._relay.upstream.request(
                incoming.method, incoming.raw_path, headers=asked(incoming)
            ) as answer:
                return await pass_on(incoming, answer)
        except aiohttp.ClientError:
            hang_up(incoming)
            return web.Response(status=502)


def trust(cluster: dict[str, Any]) -> ssl.SSLContext:
    """What a kubeconfig's entry of a cluster trusts."""
    data = cluster.get("certificate-authority-data")
    return ssl.create_default_context(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(data).decode() if data else None
    )


def write_through(kubeconfig: dict[str, Any], url: str, path: Path) -> Path:
    """A kubeconfig whose server is a relay at `url`; the credentials stay.

    So does what it trusts: a client that trusts nobody by name reads all the authorities of the machine first.
    """
    path.touch(mode=0o600)
    named = kubeconfig["clusters"][0]
    clusters = [{**named, "cluster": {**named["cluster"], "server": url}}]
    path.write_text(yaml.safe_dump(kubeconfig | {"clusters": clusters}))
    return path
