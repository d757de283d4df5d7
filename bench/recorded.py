"""What the machine can do at best of a rollback that records first: the same writes, sent without an operator.

The writes of one system up to its patch, dry run among them, are taken from the audit log of a storm and sent for other
systems of the same kind, one after the other for each, by a client that decides nothing and waits for nothing. So the
API server does for each system what it did in the storm; what the storm took longer is the operator's.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.ground import Ground
from model_rollback.adapters.connection import Connection, connect
from tests.support.audit import AuditEvent

_POST, _PATCH = "application/json", "application/json-patch+json"
_OF_ONE_OBJECT = ("/metadata/resourceVersion", "/metadata/uid")
"""What no other object has: such a test or precondition is left out, which makes the write no dearer."""


@dataclass(frozen=True)
class Write:
    """One request with the name of the system in it."""

    method: str
    uri: str
    body: str

    def of(self, model: str, name: str) -> "Write":
        """The same for another system."""
        return Write(self.method, self.uri.replace(model, name), self.body.replace(model, name))


def script(events: Iterable[AuditEvent], model: str, until: AuditEvent) -> list[Write]:
    """What was written for the system `model` up to the request `until`, in the order of the answers."""
    found = []
    for event in events:
        body = _body(event)
        if event.verb in ("create", "patch") and event.resource != "events" and model in event.uri + body:
            found.append(Write("POST" if event.verb == "create" else "PATCH", event.uri, body))
        if event is until:
            return found
    raise ValueError(f"{until.uri} is not among the events")


def _body(event: AuditEvent) -> str:
    sent = event.raw.get("requestObject")
    if isinstance(sent, list):
        sent = [operation for operation in sent if operation["path"] not in _OF_ONE_OBJECT]
    return json.dumps(sent)


def rate(place: Ground, writes: Sequence[Write], model: str, names: Sequence[str], *, at_once: int) -> float:
    """Systems in a second. Nothing else may watch these systems. Raises ClusterError when a write is refused."""
    return asyncio.run(_rate(place, writes, model, names, at_once))


async def _rate(
    place: Ground, writes: Sequence[Write], model: str, names: Sequence[str], at_once: int
) -> float:
    connection = await connect(str(place.kubeconfig))
    waiting = iter(names)

    async def worker() -> None:
        for name in waiting:
            for write in writes:
                await _send(connection, write.of(model, name))

    began = time.perf_counter()
    try:
        await asyncio.gather(*(worker() for _ in range(at_once)))
    finally:
        await connection.close()
    return len(names) / (time.perf_counter() - began)


async def _send(connection: Connection, write: Write) -> None:
    path, _, query = write.uri.partition("?")
    await connection.request(
        write.method,
        path,
        what=f"{write.method} {path}",
        query=dict(pair.split("=", 1) for pair in query.split("&") if pair),
        body=json.loads(write.body),
        content_type=_POST if write.method == "POST" else _PATCH,
    )
