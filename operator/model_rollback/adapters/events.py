"""Events on `events.k8s.io/v1`: queued, rate limited, repeats counted in a series; losing one disturbs nothing."""

import asyncio
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from prometheus_client import Counter

from model_rollback.adapters.connection import Connection
from model_rollback.adapters.objects import Paths
from model_rollback.api.group import FIELD_MANAGER, REPORTING_CONTROLLER
from model_rollback.errors import ClusterError, NotFound, Unavailable
from model_rollback.ports import Clock, Notice, Object, ObjectRef

_log = structlog.get_logger(__name__)

API_VERSION: Final = "events.k8s.io/v1"
SERIES_WINDOW: Final = timedelta(minutes=6)
"""Repeats within this long of the last one are counted on the same Event (client-go's window)."""

GRACE: Final = 0.25
"""Seconds by which an Event follows what it tells of: a rollback shall not wait for its own Events."""

NOTE_LIMIT: Final = 1024
_SERIES_LIMIT: Final = 4096
_ATTEMPTS: Final = 3
_NUMBER = re.compile(r"(?<![\w-])[0-9]+([.][0-9]+)?(?![\w-])")


@dataclass(slots=True)
class _Series:
    """An Event that was published, and how often the same thing was said since."""

    name: str
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class _Queued:
    notice: Notice
    at: datetime
    since: float


class EventRecorder:
    """`Recorder` on a real API server. `run` must be a task of the same event loop for anything to be sent."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        *,
        reporting_instance: str,
        dropped: Counter,
        paths: Paths | None = None,
        capacity: int = 1000,
        per_second: float = 20.0,
        burst: int = 50,
    ) -> None:
        """`reporting_instance`: the Pod's name. `capacity`: Events that may wait; more are dropped.

        `dropped`: counts Events that were not published, by label `cause`.
        """
        self._connection = connection
        self._paths = paths or Paths(connection)
        self._clock = clock
        self._instance = fit(reporting_instance, 128)
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue(maxsize=capacity)
        self._unsent = 0
        self._series: OrderedDict[tuple[str, ...], _Series] = OrderedDict()
        self._tokens = _Tokens(per_second, burst)
        self._dropped = dropped

    def publish(self, notice: Notice) -> None:
        """See `ports.Recorder`. Never raises; a full queue drops the newest and says so."""
        try:
            self._queue.put_nowait(_Queued(notice, self._clock.now(), time.monotonic()))
            self._unsent += 1
        except asyncio.QueueFull:
            self._drop("queue_full", notice, "the queue is full")

    async def run(self) -> None:
        """Sends what is queued until cancelled."""
        while True:
            queued = await self._queue.get()
            try:
                await asyncio.sleep(max(0.0, queued.since + GRACE - time.monotonic()))
                await self._tokens.take()
                await self._send(queued)
            except Exception as error:  # noqa: BLE001 - an Event must never end the worker
                self._drop("error", queued.notice, f"{type(error).__name__}: {error}")
            finally:
                self._unsent -= 1
                self._queue.task_done()

    async def drain(self, seconds: float) -> None:
        """Waits until the queue is sent, at most `seconds`; `run` must still be running."""
        try:
            async with asyncio.timeout(seconds):
                await self._queue.join()
        except TimeoutError:
            _log.warning("events left unsent at the end", count=self.unsent)

    @property
    def unsent(self) -> int:
        """Events that were published and neither sent nor dropped yet."""
        return self._unsent

    async def _send(self, queued: _Queued) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._record(queued)
            except Unavailable as error:
                if attempt == _ATTEMPTS:
                    self._drop("unavailable", queued.notice, str(error))
                    return
                await asyncio.sleep(min(error.retry_after or 0.5 * attempt, 5.0))
            except NotFound:
                # The namespace went away under its own Events: nobody is left to read them.
                self._dropped.labels(cause="namespace_gone").inc()
                return
            except ClusterError as error:
                if "is being terminated" in str(error):
                    self._dropped.labels(cause="namespace_gone").inc()
                    return
                self._drop("refused", queued.notice, str(error))
                return
            else:
                return

    async def _record(self, queued: _Queued) -> None:
        key = _key(queued.notice)
        series = self._series.get(key)
        if series is not None and queued.at - series.last <= SERIES_WINDOW:
            try:
                await self._repeat(queued, series)
            except NotFound:
                # Events expire; the next repeat begins a new one.
                del self._series[key]
            else:
                self._series.move_to_end(key)
                return
        body = event_body(queued.notice, queued.at, self._instance)
        await self._connection.request(
            "POST",
            await self._collection(queued.notice),
            what=f"record {queued.notice.reason}",
            query={"fieldManager": FIELD_MANAGER},
            body=body,
        )
        self._series[key] = _Series(body["metadata"]["name"], 1, queued.at)
        self._series.move_to_end(key)
        while len(self._series) > _SERIES_LIMIT:
            self._series.popitem(last=False)

    async def _repeat(self, queued: _Queued, series: _Series) -> None:
        namespace = _namespace(queued.notice.regarding)
        path = await self._paths.object(ObjectRef(API_VERSION, "Event", namespace, series.name))
        count = series.count + 1
        await self._connection.request(
            "PATCH",
            path,
            what=f"count {queued.notice.reason}",
            query={"fieldManager": FIELD_MANAGER},
            body={"series": {"count": count, "lastObservedTime": _micro_time(queued.at)}},
            content_type="application/merge-patch+json",
        )
        series.count, series.last = count, queued.at

    async def _collection(self, notice: Notice) -> str:
        return await self._paths.collection(API_VERSION, "Event", _namespace(notice.regarding))

    def _drop(self, cause: str, notice: Notice, why: str) -> None:
        self._dropped.labels(cause=cause).inc()
        _log.warning(
            "event dropped", cause=cause, reason=str(notice.reason), note=fit(notice.note, 200), error=why
        )


class _Tokens:
    """A token bucket on the event loop's own clock."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._rate, self._burst = per_second, burst
        self._tokens = float(burst)
        self._filled: float | None = None

    async def take(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        gained = 0.0 if self._filled is None else (now - self._filled) * self._rate
        self._tokens = min(float(self._burst), self._tokens + gained) - 1
        self._filled = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._rate)


def event_body(notice: Notice, at: datetime, instance: str) -> dict[str, Any]:
    """The Event as JSON, with every field that `events.k8s.io/v1` requires."""
    regarding = reference(notice.regarding)
    body: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "Event",
        "metadata": {
            "name": f"{regarding['name'][:200].rstrip('.-')}.{uuid.uuid4().hex[:16]}",
            "namespace": _namespace(notice.regarding),
        },
        "eventTime": _micro_time(at),
        "type": "Warning" if notice.warning else "Normal",
        "reason": str(notice.reason),
        "action": fit(notice.action or str(notice.reason), 128),
        "note": fit(notice.note, NOTE_LIMIT),
        "regarding": regarding,
        "reportingController": REPORTING_CONTROLLER,
        "reportingInstance": instance,
    }
    if notice.related is not None:
        body["related"] = reference(notice.related)
    return body


def fit(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, as the API server counts in Events; the end replaced by an ellipsis."""
    if len(text.encode()) <= limit:
        return text
    return text.encode()[: limit - len("…".encode())].decode(errors="ignore") + "…"


def reference(obj: Object) -> dict[str, str]:
    """A core/v1 ObjectReference to `obj`; empty fields are left out."""
    metadata: Mapping[str, Any] = obj.get("metadata") or {}
    fields = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "uid": metadata.get("uid"),
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {key: str(value) for key, value in fields.items() if value}


def _namespace(obj: Object) -> str:
    return str((obj.get("metadata") or {}).get("namespace") or "default")


def _key(notice: Notice) -> tuple[str, ...]:
    """What makes two notices the same: numbers in the note may differ, names with digits in them and the object that
    it is about may not."""
    metadata: Mapping[str, Any] = notice.regarding.get("metadata") or {}
    uid = str(metadata.get("uid") or f"{_namespace(notice.regarding)}/{metadata.get('name')}")
    related: Mapping[str, Any] = (notice.related or {}).get("metadata") or {}
    return (
        uid,
        str(related.get("uid", "")),
        str(notice.reason),
        notice.action,
        str(notice.warning),
        _NUMBER.sub("#", notice.note),
    )


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
