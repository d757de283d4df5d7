"""Lists and watches whole kinds: pages, bookmarks, reconnects, and a fresh list when the server forgot.

Nothing is kept but resource versions; objects are handed on as they come, however large they are.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass, field

import aiohttp
import structlog

from model_rollback.adapters.connection import Connection
from model_rollback.adapters.lists import pages
from model_rollback.adapters.objects import Paths
from model_rollback.adapters.refusals import GoneError, translate_exception, translate_refusal
from model_rollback.errors import ClusterError, Unavailable
from model_rollback.ports import Object, WatchEvent

_log = structlog.get_logger(__name__)

_LINE_LIMIT = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WatchTiming:
    """Seconds. The server ends a watch after `server`; a stream without a byte for `silence` counts as dead.

    API servers send a bookmark about once a minute, so `silence` lies above that.
    """

    server: float = 300.0
    silence: float = 90.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    attempts: int = 3
    """Watches that may fail in a row before the kind counts as unavailable and is listed again."""


@dataclass(slots=True)
class _BackOff:
    """Exponential pauses with jitter; one `error` is logged once until it changes or goes away."""

    timing: WatchTiming
    what: str
    failures: int = 0
    said: str = ""
    _random: random.Random = field(default_factory=random.Random)

    def success(self) -> None:
        if self.failures:
            _log.info("watch recovered", kind=self.what, failures=self.failures)
        self.failures, self.said = 0, ""

    def is_news(self, error: ClusterError) -> bool:
        """Whether this reason was not given before; logs it then."""
        if str(error) == self.said:
            return False
        self.said = str(error)
        _log.warning("watch interrupted; trying again", kind=self.what, error=self.said)
        return True

    async def pause(self, error: ClusterError) -> None:
        self.is_news(error)
        ceiling = min(self.timing.longest_pause, self.timing.first_pause * 2 ** min(self.failures, 16))
        self.failures += 1
        asked = error.retry_after if isinstance(error, Unavailable) and error.retry_after is not None else 0.0
        await asyncio.sleep(
            max(min(asked, self.timing.longest_pause), self._random.uniform(ceiling / 2, ceiling))
        )


class ClusterWatches:
    """`Watches` on a real API server, of the whole cluster or of some namespaces."""

    def __init__(
        self,
        connection: Connection,
        paths: Paths | None = None,
        *,
        namespaces: Iterable[str] = (),
        timing: WatchTiming | None = None,
        page: int = 200,
    ) -> None:
        """`namespaces` empty: the whole cluster, which needs cluster-wide rights. `page`: objects per list page."""
        self._connection = connection
        self._paths = paths or Paths(connection)
        self._scopes: tuple[str | None, ...] = tuple(dict.fromkeys(namespaces)) or (None,)
        self._timing = timing or WatchTiming()
        self._page = page

    async def watch(self, api_version: str, kind: str) -> AsyncGenerator[WatchEvent, None]:
        """See `ports.Watches`. One `Listing` … `Synced` covers all namespaces."""
        back_off = _BackOff(self._timing, kind)
        while True:
            try:
                versions: dict[str | None, str] = {}
                yield WatchEvent("Listing")
                for scope in self._scopes:
                    async with contextlib.aclosing(self._list(api_version, kind, scope, versions)) as items:
                        async for item in items:
                            yield WatchEvent("Upserted", item)
                back_off.success()
                yield WatchEvent("Synced")
                async with contextlib.aclosing(self._follow(api_version, kind, versions)) as events:
                    async for event in events:
                        yield event
            except GoneError:
                _log.info("listing again: the server forgot the resource version", kind=kind)
                await asyncio.sleep(self._timing.first_pause)
            except ClusterError as error:
                if back_off.is_news(error):
                    yield WatchEvent("Unavailable", message=str(error))
                await back_off.pause(error)

    async def _list(
        self, api_version: str, kind: str, scope: str | None, versions: dict[str | None, str]
    ) -> AsyncGenerator[Object, None]:
        path = await self._paths.collection(api_version, kind, scope)
        listed = pages(self._connection, path, what=f"list {kind}", size=self._page)
        async with contextlib.aclosing(listed):
            async for page in listed:
                for item in page.get("items") or ():
                    yield {"apiVersion": api_version, "kind": kind, **item}
                versions[scope] = str((page.get("metadata") or {}).get("resourceVersion", ""))

    async def _follow(
        self, api_version: str, kind: str, versions: dict[str | None, str]
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes of all scopes, merged; ends by raising GoneError."""
        queue: asyncio.Queue[WatchEvent | Exception] = asyncio.Queue(maxsize=16)

        async def pump(scope: str | None) -> None:
            try:
                path = await self._paths.collection(api_version, kind, scope)
                await self._stream_for_ever(path, kind, versions[scope], queue)
            except Exception as error:  # noqa: BLE001 - it is raised again in the consumer's task
                await queue.put(error)

        pumps = [
            asyncio.create_task(pump(scope), name=f"watch {kind} {scope or '*'}") for scope in self._scopes
        ]
        try:
            while True:
                event = await queue.get()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _stream_for_ever(
        self, path: str, kind: str, version: str, queue: asyncio.Queue[WatchEvent | Exception]
    ) -> None:
        back_off = _BackOff(self._timing, kind)
        while True:
            seen = False
            try:
                async with contextlib.aclosing(self._stream(path, kind, version)) as events:
                    async for type_, item in events:
                        version = item["metadata"].get("resourceVersion") or version
                        if not seen:
                            seen = True
                            back_off.success()
                        if type_ != "BOOKMARK":
                            await queue.put(WatchEvent("Deleted" if type_ == "DELETED" else "Upserted", item))
            except GoneError:
                raise
            except ClusterError as error:
                if back_off.failures + 1 >= self._timing.attempts:
                    raise
                await back_off.pause(error)
            else:
                # An end in order costs nothing; one without any event could be a proxy that hangs up at once.
                if not seen:
                    await asyncio.sleep(self._timing.first_pause)

    async def _stream(self, path: str, kind: str, version: str) -> AsyncGenerator[tuple[str, Object], None]:
        """Events of one watch request as (type, object). Raises ClusterError; a silent stream is Unavailable."""
        what = f"watch {kind}"
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, int(self._timing.server))),
        }
        try:
            async with self._connection.stream(
                path, what=what, query=query, silence=self._timing.silence
            ) as chunks:
                async for line in _lines(chunks, what):
                    yield _decode(line, what)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise translate_exception(error, what) from error


async def _lines(chunks: AsyncIterator[bytes], what: str) -> AsyncIterator[bytes]:
    """Whole lines of a stream. aiohttp's own `readline` gives up beyond 4 MB; objects may be larger as JSON."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line = b"".join((*parts, end))
            parts, size = [], 0
            if line.strip():
                yield line
        if rest:
            parts.append(rest)
            size += len(rest)
        if size > _LINE_LIMIT:
            raise Unavailable(f"{what}: one event is larger than {_LINE_LIMIT} bytes")


def _decode(line: bytes, what: str) -> tuple[str, Object]:
    try:
        event = json.loads(line)
        type_, item = event["type"], event["object"]
        metadata = item.get("metadata") or {}
        named = isinstance(metadata, dict)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(f"{what}: the stream holds something that is no event") from error
    if type_ == "ERROR":
        code = item.get("code")
        status = code if isinstance(code, int) else 500
        raise translate_refusal(status, {}, json.dumps(item), what)
    if type_ not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") or not named:
        raise Unavailable(f"{what}: unknown event type {type_!r}")
    return type_, {**item, "metadata": metadata}
