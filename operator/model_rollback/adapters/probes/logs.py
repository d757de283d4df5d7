"""Pod logs: which containers have one, and the next bounded piece of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from model_rollback.adapters.connection import Connection
from model_rollback.adapters.objects import Paths
from model_rollback.adapters.pods import ClusterPods
from model_rollback.adapters.refusals import translate_exception
from model_rollback.ports import LogLine, LogPart, LogStream, Object

PART_LIMIT: Final = 1 << 20
"""Bytes of one container's log that are read at once."""

LINE_LIMIT: Final = 16 << 10
"""Characters of a line that are looked at."""
_SECONDS: Final = 10.0


class ClusterPodLogs:
    """`PodLogs` on a real API server. Needs the verb `list` on pods and `get` on `pods/log`."""

    def __init__(
        self, connection: Connection, paths: Paths | None = None, *, part_limit: int = PART_LIMIT
    ) -> None:
        self._connection = connection
        self._paths = paths or Paths(connection)
        self._pods = ClusterPods(connection, self._paths)
        self._part_limit = part_limit

    async def streams(self, namespace: str, selector: Object, container: str = "") -> Sequence[LogStream]:
        """See `ports.PodLogs`."""
        return [
            stream
            for pod in await self._pods.selected(namespace, selector)
            if not pod["metadata"].get("deletionTimestamp")
            for stream in _streams_of(pod)
            if container in ("", stream.container)
        ]

    async def read(self, namespace: str, stream: LogStream, since: datetime) -> LogPart:
        """See `ports.PodLogs`."""
        what = f"read the log of {stream.container} in pod {namespace}/{stream.pod}"
        path = f"{await self._paths.collection('v1', 'Pod', namespace)}/{stream.pod}/log"
        query = {
            "container": stream.container,
            "timestamps": "true",
            "sinceTime": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "limitBytes": str(self._part_limit),
            **({"previous": "true"} if stream.previous else {}),
        }
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._connection.stream(path, what=what, query=query, silence=_SECONDS) as chunks,
            ):
                data = await _bounded(chunks, self._part_limit)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise translate_exception(error, what) from error
        more = len(data) >= self._part_limit
        return LogPart(tuple(_lines(data, cut=more)), more)


def _streams_of(pod: Mapping[str, Any]) -> Iterator[LogStream]:
    """Containers that have run: the present life, and the one before, whose last words are why there is a new one."""
    metadata = pod["metadata"]
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        restarts, waiting = int(status.get("restartCount") or 0), "waiting" in (status.get("state") or {})
        if waiting and not (status.get("lastState") or {}).get("terminated"):
            continue
        name = (str(metadata["name"]), str(metadata["uid"]), str(status["name"]))
        # While it waits to be started again, the API server shows the life that has just ended.
        yield LogStream(*name, restarts)
        if restarts and not waiting:
            yield LogStream(*name, restarts - 1, previous=True)


async def _bounded(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) >= limit:
            break
    return bytes(data[:limit])


def _lines(data: bytes, *, cut: bool) -> Iterator[LogLine]:
    """`TIME TEXT` lines; of a piece that was cut, not the last one, which comes whole in the next piece."""
    lines = data.split(b"\n")
    if cut and len(lines) > 1:
        lines = lines[:-1]
    for line in lines:
        stamp, _, text = line.partition(b" ")
        try:
            at = datetime.fromisoformat(stamp.decode("ascii"))
        except ValueError:
            continue
        if at.tzinfo is not None:
            yield LogLine(at.astimezone(UTC), text[:LINE_LIMIT].decode(errors="replace"))
