"""A scripted API server: each watch and list gets the next prepared answer. For faults no real one makes on demand."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from model_rollback.adapters.connection import Connection, connect
from tests.unit.adapters.serving import answer, talking

Step = Callable[[asyncio.StreamWriter], Awaitable[None]]

DISCOVERY = {
    "resources": [
        {"name": "configmaps", "kind": "ConfigMap", "namespaced": True},
        {"name": "pods", "kind": "Pod", "namespaced": True},
        {"name": "services", "kind": "Service", "namespaced": True},
    ]
}


class Script:
    """Answers discovery by itself and everything else in the prepared order; afterwards it is silent.

    Watches take from `watch` first, so that several at a time need not come in a known order with lists.
    """

    def __init__(self, *steps: Step, watch: tuple[Step, ...] = ()) -> None:
        self.steps = list(steps)
        self.watch = list(watch)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.heads: list[str] = []

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        url = urlsplit(target)
        if url.path == "/api/v1":
            writer.write(answer("200 OK", DISCOVERY))
            await writer.drain()
            return
        self.heads.append(head.decode())
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.requests.append((method, url.path, query))
        steps = self.watch if self.watch and "watch" in query else self.steps
        step = steps.pop(0) if steps else silence
        await step(writer)


async def silence(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


def says(status: str, body: Any, *headers: str) -> Step:
    async def step(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, body, *headers))
        await writer.drain()

    return step


def lists(*names: str, version: str = "10", token: str = "") -> Step:
    metadata = {"resourceVersion": version, **({"continue": token} if token else {})}
    return says("200 OK", {"metadata": metadata, "items": [{"metadata": {"name": name}} for name in names]})


def streams(*events: dict[str, Any] | bytes, hold: bool = False) -> Step:
    """A watch: an event as JSON per line, bytes as they are; then the end, or silence when `hold`."""

    async def step(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        for event in events:
            writer.write(event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n")
            await writer.drain()
        if hold:
            await silence(writer)

    return step


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def event(type_: str, name: str = "", version: str = "11", **fields: Any) -> dict[str, Any]:
    metadata = {"resourceVersion": version, **({"name": name} if name else {})}
    return {"type": type_, "object": {"metadata": metadata, **fields}}


def status(code: int, message: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "message": message, **fields}


@contextlib.asynccontextmanager
async def scripted(
    folder: Any, *steps: Step, watch: tuple[Step, ...] = (), total: float = 5.0
) -> AsyncIterator[tuple[Script, Connection]]:
    """The server and a connection to it, configured by a kubeconfig in `folder`."""
    script = Script(*steps, watch=watch)
    async with talking(script) as port:
        path = folder / "kubeconfig"
        path.write_text(kubeconfig(f"http://127.0.0.1:{port}"))
        connection = await connect(str(path), total=total)
        try:
            yield script, connection
        finally:
            await connection.close()


def kubeconfig(server: str, *, cluster: Mapping[str, Any] | None = None, **user: Any) -> str:
    """A kubeconfig as YAML with one context. `cluster`: beside its server."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": server, **(cluster or {})}}],
            "users": [{"name": "it", "user": user or {"token": "t0ken"}}],
        }
    )
