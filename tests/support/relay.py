"""What stands between a process and a server in tests: HTTP on the loopback interface, in a thread of its own.

What is done with a request is up to subclasses. Everything is closed when `close` returns, also what a peer would
have kept open: a connection left over would be a warning, and so a failure, in whatever test runs then.
"""

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from tests.support.closing import Closing

HOP_BY_HOP = frozenset(
    {
        *(
            "connection",
            "content-length",
            "host",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ),
        *("date", "server"),
    }
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = TypeVar("Answer")

_LARGEST = 64 * 2**20
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10)
_CALL_SECONDS = 30.0
_CLOSE_SECONDS = 20.0
_TURN_SECONDS = 0.01


class Relay(Closing):
    """Serves from its creation to `close`, and closes its connections to both sides by itself.

    Attributes:
        upstream: a client session for requests to the server behind.
    """

    upstream: aiohttp.ClientSession

    def __init__(
        self, handler: Handler, upstream: str, *, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        """`upstream`: URL of the server behind. A client that hangs up cancels its `handler`."""
        self._upstream_url = upstream.rstrip("/")
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._clients: list[asyncio.Transport] = []
        self._accepting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self.port: int = self.call(self._start(handler, port))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """For `call_soon_threadsafe`."""
        return self._loop

    def call(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer of a coroutine that runs in the relay's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_SECONDS)

    def close(self) -> None:
        """Cuts off what is under way and ends; nothing of it is left when this returns. A second call does nothing."""
        if self._loop.is_closed():
            return
        self.call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        self._loop.close()
        gc.collect()  # so that a connection that is left over fails the test that left it

    async def _start(self, handler: Handler, port: int) -> int:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls or True, socket_factory=self._open_socket)
        self.upstream = aiohttp.ClientSession(
            base_url=self._upstream_url, connector=connector, timeout=_PATIENCE, auto_decompress=False
        )
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", handler)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._listening = socket.create_server(("127.0.0.1", port), backlog=128)
        self._listening.setblocking(False)
        self._loop.add_reader(self._listening, self._accept)
        bound: int = self._listening.getsockname()[1]
        return bound

    def _open_socket(self, address: Any) -> socket.socket:
        family, kind, protocol, *_ = address
        return self._keep(socket.socket(family, kind, protocol))

    def _keep(self, opened: socket.socket) -> socket.socket:
        self._sockets = [known for known in self._sockets if known.fileno() >= 0]
        self._sockets.append(opened)
        return opened

    def _accept(self) -> None:
        # asyncio's own server loses a connection that it accepts while it is closed.
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = self._listening.accept()
            connection.setblocking(False)
            task = self._loop.create_task(self._serve(self._keep(connection)))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _serve(self, connection: socket.socket) -> None:
        assert self._runner.server is not None
        transport, _ = await self._loop.connect_accepted_socket(self._runner.server, connection)
        self._clients = [known for known in self._clients if not known.is_closing()]
        self._clients.append(transport)

    async def _end(self) -> None:
        async with asyncio.timeout(_CLOSE_SECONDS):
            self._loop.remove_reader(self._listening)
            self._listening.close()
            await asyncio.gather(*self._accepting)
            for transport in self._clients:
                transport.abort()  # an orderly end would wait for peers that do not read
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self._runner.cleanup()
            assert self.upstream.connector is not None
            await self.upstream.connector.close(abort_ssl=True)
            await self.upstream.close()
            while any(known.fileno() >= 0 for known in self._sockets):  # noqa: ASYNC110 - sockets tell nobody
                await asyncio.sleep(_TURN_SECONDS)


def asked(incoming: web.Request) -> dict[str, str]:
    """The headers of a request that are passed on; answers are not compressed, so that they can be read here."""
    left_out = HOP_BY_HOP | {"accept-encoding"}
    return {key: value for key, value in incoming.headers.items() if key.lower() not in left_out}


def answered(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers of an answer that are passed on."""
    return {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}


def hang_up(incoming: web.Request) -> None:
    """As a network does that fails: no answer, the connection reset."""
    if incoming.transport is not None:
        incoming.transport.abort()


async def pass_on(incoming: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Relays an answer as it comes, streams included; whichever side breaks off, the other one is cut off too."""
    outgoing = web.StreamResponse(status=answer.status, headers=answered(answer))
    try:
        await outgoing.prepare(incoming)
        async for chunk in answer.content.iter_any():
            await outgoing.write(chunk)
        await outgoing.write_eof()
    except BaseException as error:
        cut_off(answer)
        hang_up(incoming)
        if not isinstance(error, aiohttp.ClientError | OSError):
            raise
    return outgoing


def cut_off(answer: aiohttp.ClientResponse) -> None:
    """Ends a stream at once: an orderly end of TLS waits for the other side, longer than a relay lives."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()
