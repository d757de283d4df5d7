"""Small servers that misbehave in ways a proper HTTP library cannot."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Gets the head of a request, writes whatever it likes; the connection is closed when it returns."""


@contextlib.asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[int]:
    """Listens on a free port of loopback and answers each connection's first request with `talk`; yields the port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(await reader.readuntil(b"\r\n\r\n"), writer)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(status: str, body: Any, *headers: str) -> bytes:
    """A whole HTTP answer; `body` that is not bytes becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", "Connection: close", *headers]
    if not any(line.lower().startswith("content-type") for line in headers):
        head.append("Content-Type: application/json")
    return "\r\n".join([*head, "", ""]).encode() + data
