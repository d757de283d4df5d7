"""The recorder where the API server misbehaves; what real Events look like is in `tests/cluster`."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from model_rollback.adapters.connection import Connection
from model_rollback.adapters.events import GRACE, NOTE_LIMIT, EventRecorder, event_body, fit
from model_rollback.api.reasons import Reason
from model_rollback.ports import Notice
from tests.unit.adapters.apiserver import Script, Step, reset, says, scripted, silence, status

NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
DISCOVERY = says("200 OK", {"resources": [{"name": "events", "kind": "Event", "namespaced": True}]})
CREATED = says("201 Created", {})
REGARDING = {
    "apiVersion": "modelrollback.dev/v1alpha1",
    "kind": "RollbackPolicy",
    "metadata": {"namespace": "shop", "name": "recommender", "uid": "u-1", "resourceVersion": "5"},
}


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def sleep_until(self, moment: datetime) -> None:
        self.time = max(self.time, moment)


def notice(note: str = "accuracy 0.71 is below 0.9", reason: Reason = Reason.TRIGGER_BREACHED) -> Notice:
    return Notice(REGARDING, reason, note, "Evaluate", warning=True)


class Recording:
    """A recorder at work on a scripted API server."""

    def __init__(self, script: Script, connection: Connection, **settings: float) -> None:
        self.script, self.clock, self.registry = script, SetClock(), CollectorRegistry()
        dropped = Counter("model_rollback_events_dropped", "Dropped.", ["cause"], registry=self.registry)
        self.recorder = EventRecorder(
            connection,
            self.clock,
            reporting_instance="pod-1",
            dropped=dropped,
            **settings,
        )

    def dropped(self, cause: str) -> float:
        return self.registry.get_sample_value("model_rollback_events_dropped_total", {"cause": cause}) or 0.0

    @property
    def writes(self) -> list[str]:
        return [method for method, _, _ in self.script.requests if method != "GET"]


@contextlib.asynccontextmanager
async def recording(folder: Path, *steps: Step, total: float = 5.0) -> AsyncIterator[Recording]:
    async with scripted(folder, DISCOVERY, *steps, total=total) as (script, connection):
        it = Recording(script, connection)
        worker = asyncio.create_task(it.recorder.run())
        try:
            yield it
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)


async def test_repeats_within_minutes_are_counted_on_the_first(tmp_path: Path):
    async with recording(tmp_path, CREATED, CREATED, CREATED) as it:
        for value in ("0.71", "0.64", "0.7"):
            it.recorder.publish(notice(f"accuracy {value} is below 0.9"))
        await it.recorder.drain(10)
        assert it.writes == ["POST", "PATCH", "PATCH"]


async def test_events_follow_what_they_tell_of_and_wait_for_that_together(tmp_path: Path):
    async with recording(tmp_path, CREATED, CREATED, CREATED) as it:
        began = time.monotonic()
        for word in ("one", "two", "three"):
            it.recorder.publish(notice(f"component {word} reverted"))
        await asyncio.sleep(GRACE / 2)
        assert it.writes == [] or time.monotonic() - began >= GRACE
        await it.recorder.drain(10)
        assert it.writes == ["POST", "POST", "POST"]


@pytest.mark.parametrize(
    "other",
    [notice("component v13 reverted"), notice(reason=Reason.TRIGGER_RECOVERED)],
    ids=["another name", "another reason"],
)
async def test_something_else_is_an_event_of_its_own(tmp_path: Path, other: Notice):
    async with recording(tmp_path, CREATED, CREATED) as it:
        it.recorder.publish(notice("component v12 reverted"))
        it.recorder.publish(other)
        await it.recorder.drain(10)
        assert it.writes == ["POST", "POST"]


async def test_a_repeat_after_the_window_is_a_new_event(tmp_path: Path):
    async with recording(tmp_path, CREATED, CREATED) as it:
        it.recorder.publish(notice())
        it.clock.time += timedelta(minutes=7)
        it.recorder.publish(notice())
        await it.recorder.drain(10)
        assert it.writes == ["POST", "POST"]


async def test_a_series_whose_event_expired_begins_anew(tmp_path: Path):
    async with recording(tmp_path, CREATED, says("404 Not Found", status(404, "gone")), CREATED) as it:
        it.recorder.publish(notice())
        it.recorder.publish(notice())
        await it.recorder.drain(10)
        assert it.writes == ["POST", "PATCH", "POST"]


async def test_a_fault_is_tried_again(tmp_path: Path):
    busy = says("429 Too Many Requests", status(429, "slow"), "Retry-After: 0")
    async with recording(tmp_path, busy, reset, CREATED) as it:
        it.recorder.publish(notice())
        await it.recorder.drain(10)
        assert (it.writes, it.dropped("unavailable")) == (["POST"] * 3, 0.0)


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        (says("404 Not Found", status(404, 'namespaces "shop" not found')), "namespace_gone"),
        (says("403 Forbidden", status(403, "… because it is being terminated")), "namespace_gone"),
        (says("403 Forbidden", status(403, "no right")), "refused"),
        (says("422 Unprocessable Entity", status(422, "odd")), "refused"),
    ],
    ids=["no namespace", "terminating", "403", "422"],
)
async def test_a_refused_event_is_dropped_and_the_next_one_sent(tmp_path: Path, refusal: Step, cause: str):
    async with recording(tmp_path, refusal, CREATED) as it:
        it.recorder.publish(notice("one"))
        it.recorder.publish(notice("two"))
        await it.recorder.drain(10)
        assert (it.writes, it.dropped(cause)) == (["POST", "POST"], 1.0)


async def test_a_notice_that_cannot_be_sent_at_all_ends_nothing(tmp_path: Path):
    """Guard: the catch in `run`; one odd object would end all Events for good."""
    async with recording(tmp_path, CREATED) as it:
        it.recorder.publish(Notice({"metadata": "odd"}, Reason.ARMED, "x", "y"))
        it.recorder.publish(notice())
        await it.recorder.drain(10)
        assert (it.writes, it.dropped("error")) == (["POST"], 1.0)


async def test_a_full_queue_drops_and_counts_and_never_blocks(tmp_path: Path):
    """Guard: the bound of the queue; an API server that is away would fill the memory."""
    async with scripted(tmp_path, silence) as (script, connection):
        it = Recording(script, connection, capacity=2)
        for number in range(5):
            it.recorder.publish(notice(f"note n{number}"))
        assert it.dropped("queue_full") == 3.0


async def test_draining_ends_although_the_api_server_is_silent(tmp_path: Path):
    async with recording(tmp_path, silence, total=60.0) as it:
        it.recorder.publish(notice())
        async with asyncio.timeout(30):
            await it.recorder.drain(0.1)
        assert it.recorder.unsent == 1


async def test_a_burst_beyond_the_limit_waits_for_its_turn(tmp_path: Path):
    """Guard: the token bucket: one at once, the others at 20 a second."""
    async with scripted(tmp_path, DISCOVERY, *[CREATED] * 5) as (script, connection):
        it = Recording(script, connection, per_second=20.0, burst=1)
        worker = asyncio.create_task(it.recorder.run())
        began = asyncio.get_running_loop().time()
        for number in range(5):
            it.recorder.publish(notice(f"note n{number}"))
        await it.recorder.drain(30)
        took = asyncio.get_running_loop().time() - began
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert len(it.writes) == 5
    assert took >= 4 / 20 * 0.95


@pytest.mark.parametrize("letter", ["x", "ä", "…", "🙂"])
def test_a_note_fits_in_bytes(letter: str):
    """Guard: `fit`; the API server counts bytes and refuses the Event."""
    body = event_body(notice(letter * 2000), NOW, "pod-1")
    assert NOTE_LIMIT - 8 <= len(body["note"].encode()) <= NOTE_LIMIT
    assert body["note"].endswith("…")


def test_what_fits_is_left_alone():
    assert fit("ä" * 512, 1024) == "ä" * 512


def test_a_long_name_leaves_room_for_the_events_own():
    regarding = {**REGARDING, "metadata": {**REGARDING["metadata"], "name": "a" * 253}}
    body = event_body(Notice(regarding, Reason.ARMED, "n", "a"), NOW, "pod-1")
    assert len(body["metadata"]["name"]) <= 253
