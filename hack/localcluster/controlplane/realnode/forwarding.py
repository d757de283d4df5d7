"""Brings the node's connections to programs that listen on this machine's loopback interface only."""

import asyncio
import contextlib
from collections.abc import Iterable


def forward(address: str, ports: Iterable[int]) -> None:
    """Serve each of `ports` at `address` with what answers at the same port of 127.0.0.1, until killed."""
    asyncio.run(_serve(address, tuple(ports)))


async def _serve(address: str, ports: tuple[int, ...]) -> None:
    servers = [await forwarder(address, port) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def forwarder(address: str, port: int) -> asyncio.Server:
    """A server at `address` whose connections go on to the same port of 127.0.0.1."""

    async def bring(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    return await asyncio.start_server(bring, address, port)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until one of the two ends; then the other side of the connection ends as well."""
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()
