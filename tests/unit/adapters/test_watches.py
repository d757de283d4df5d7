"""Watches through every fault that an API server or a proxy in front of it can bring."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from model_rollback.adapters.connection import Connection
from model_rollback.adapters.watches import ClusterWatches, WatchTiming
from tests.unit.adapters.apiserver import (
    Script,
    event,
    lists,
    reset,
    says,
    scripted,
    silence,
    status,
    streams,
)

TIMING = WatchTiming(silence=0.3, first_pause=0.01, longest_pause=0.05)


async def seen(connection: Connection, count: int, **settings: object) -> list[str]:
    """The first `count` events as `Type` or `Type name`."""
    events = ClusterWatches(connection, **{"timing": TIMING, **settings}).watch("v1", "ConfigMap")
    found = []
    async with asyncio.timeout(30), contextlib.aclosing(events):
        while len(found) < count:
            got = await anext(events)
            found.append(f"{got.type} {got.object['metadata']['name']}" if got.object else got.type)
    return found


def watches(script: Script) -> list[dict[str, str]]:
    return [query for _, _, query in script.requests if "watch" in query]


async def test_a_list_then_its_changes(tmp_path: Path):
    steps = (
        lists("a", "b"),
        streams(event("ADDED", "c"), event("MODIFIED", "a"), event("DELETED", "b"), hold=True),
    )
    async with scripted(tmp_path, *steps) as (script, connection):
        found = await seen(connection, 7)
    assert found == ["Listing", "Upserted a", "Upserted b", "Synced", "Upserted c", "Upserted a", "Deleted b"]
    assert watches(script) == [
        {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "10", "timeoutSeconds": "300"}
    ]


async def test_items_of_a_list_know_their_kind(tmp_path: Path):
    async with scripted(tmp_path, lists("a")) as (_, connection):
        events = ClusterWatches(connection, timing=TIMING).watch("v1", "ConfigMap")
        async with asyncio.timeout(30), contextlib.aclosing(events):
            await anext(events)
            item = (await anext(events)).object
    assert item == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


async def test_a_list_is_read_in_pages(tmp_path: Path):
    steps = (lists("a", token="t/1"), lists("b", version="12"), streams(hold=True))
    async with scripted(tmp_path, *steps) as (script, connection):
        assert await seen(connection, 4, page=1) == ["Listing", "Upserted a", "Upserted b", "Synced"]
    assert [query for _, _, query in script.requests[:2]] == [
        {"limit": "1"},
        {"limit": "1", "continue": "t/1"},
    ]


async def test_a_page_token_that_expired_lists_anew(tmp_path: Path):
    gone = says("410 Gone", status(410, "the provided continue parameter is too old"))
    async with scripted(tmp_path, lists("a", token="t"), gone, lists("a")) as (_, connection):
        assert await seen(connection, 5) == ["Listing", "Upserted a", "Listing", "Upserted a", "Synced"]


@pytest.mark.parametrize(
    "gone",
    [
        streams({"type": "ERROR", "object": status(410, "too old resource version")}),
        says("410 Gone", status(410, "too old resource version")),
    ],
    ids=["in the stream", "as answer"],
)
async def test_a_forgotten_version_lists_anew(tmp_path: Path, gone: object):
    """Guard: GoneError; a watch that goes on from a forgotten version gets 410 for ever and sees nothing."""
    async with scripted(tmp_path, lists("a"), gone, lists("b")) as (_, connection):
        assert await seen(connection, 6) == [
            "Listing",
            "Upserted a",
            "Synced",
            "Listing",
            "Upserted b",
            "Synced",
        ]


async def test_a_watch_that_ends_goes_on_from_the_last_bookmark(tmp_path: Path):
    """Guard: the version of every event is kept; without bookmarks a quiet kind is listed anew again and again."""
    steps = (
        lists("a"),
        streams(event("BOOKMARK", version="77")),
        streams(event("ADDED", "b", version="78"), hold=True),
    )
    async with scripted(tmp_path, *steps) as (script, connection):
        assert await seen(connection, 4) == ["Listing", "Upserted a", "Synced", "Upserted b"]
    assert [query["resourceVersion"] for query in watches(script)] == ["10", "77"]


@pytest.mark.parametrize(
    "fault",
    [
        streams({"type": "ERROR", "object": status(500, "etcdserver: leader changed")}),
        streams({"type": "ERROR", "object": {"odd": True}}),
        says("503 Service Unavailable", b"no healthy upstream"),
        says("429 Too Many Requests", status(429, "slow"), "Retry-After: 0"),
        says("403 Forbidden", status(403, "a right is missing")),
        streams(b'{"type": "ADDED", "obj'),
        streams(b"<html>\n"),
        streams(b"[]\n"),
        streams(b'{"type":"ADDED","object":{"metadata":"odd"}}\n'),
        streams({"type": "NEW", "object": {}}),
        streams(),
        reset,
        silence,
        streams(event("BOOKMARK"), hold=True),
    ],
    ids=[
        "error in the stream",
        "odd error",
        "503",
        "429",
        "403",
        "half a line",
        "html",
        "list",
        "odd metadata",
        "unknown type",
        "empty stream",
        "reset",
        "no answer",
        "silent stream",
    ],
)
async def test_a_fault_of_the_watch_is_outlived_without_a_new_list(tmp_path: Path, fault: object):
    """Guards: the loop of `_stream_for_ever`; for the silent ones the inactivity time-out."""
    steps = (lists("a"), fault, streams(event("ADDED", "b"), hold=True))
    async with scripted(tmp_path, *steps) as (_, connection):
        assert await seen(connection, 4) == ["Listing", "Upserted a", "Synced", "Upserted b"]


@pytest.mark.parametrize(
    "fault",
    [
        says("500 Internal Server Error", status(500, "etcd")),
        says("403 Forbidden", status(403, "no")),
        says("200 OK", b"<html>"),
    ],
    ids=["500", "403", "html"],
)
async def test_a_fault_of_the_list_begins_it_anew(tmp_path: Path, fault: object):
    async with scripted(tmp_path, fault, lists("a")) as (_, connection):
        assert await seen(connection, 5) == ["Listing", "Unavailable", "Listing", "Upserted a", "Synced"]


async def test_why_it_is_unavailable_is_said_once_per_reason(tmp_path: Path):
    forbidden = says("403 Forbidden", status(403, "no right to list"))
    broken = says("500 Internal Server Error", status(500, "etcd"))
    async with scripted(tmp_path, forbidden, forbidden, forbidden, broken, lists()) as (_, connection):
        events = ClusterWatches(connection, timing=TIMING).watch("v1", "ConfigMap")
        messages: list[str] = []
        async with asyncio.timeout(30), contextlib.aclosing(events):
            async for got in events:
                if got.type == "Unavailable":
                    messages.append(got.message)
                if got.type == "Synced":
                    break
    assert messages == ["list ConfigMap: no right to list (403)", "list ConfigMap: etcd (500)"]


async def test_a_watch_that_fails_again_and_again_is_unavailable_until_the_next_list(tmp_path: Path):
    """Guard: `attempts`; the store would go on with an old picture and nobody would know."""
    refused = says("403 Forbidden", status(403, "no right to watch"))
    steps = (lists("a"), refused, refused, refused, lists("a"))
    async with scripted(tmp_path, *steps) as (_, connection):
        found = await seen(connection, 7)
    assert found == ["Listing", "Upserted a", "Synced", "Unavailable", "Listing", "Upserted a", "Synced"]


async def test_an_event_of_many_megabytes_comes_through(tmp_path: Path):
    """Guard: `_lines`; aiohttp's readline gives up at 4 MB."""
    large = json.dumps(event("ADDED", "b", data="x" * 6_000_000)).encode() + b"\n"
    async with scripted(tmp_path, lists(), streams(large, hold=True)) as (_, connection):
        assert await seen(connection, 3) == ["Listing", "Synced", "Upserted b"]


async def test_namespaces_share_one_list_and_are_watched_side_by_side(tmp_path: Path):
    """Guard: one Listing … Synced for all; a Synced per namespace would make the others' objects vanish."""
    steps = (lists("a"), lists("b"), streams(event("ADDED", "c"), hold=True), streams(hold=True))
    async with scripted(tmp_path, *steps) as (script, connection):
        found = await seen(connection, 5, namespaces=["shop", "lab", "shop"])
    assert found == ["Listing", "Upserted a", "Upserted b", "Synced", "Upserted c"]
    assert [path for _, path, _ in script.requests][:2] == [
        "/api/v1/namespaces/shop/configmaps",
        "/api/v1/namespaces/lab/configmaps",
    ]


async def test_a_namespace_that_was_forgotten_lists_all_anew(tmp_path: Path):
    gone = streams({"type": "ERROR", "object": status(410, "too old")})
    steps = (lists("a"), lists("b"), lists("a"), lists("b"))
    async with scripted(tmp_path, *steps, watch=(gone, silence)) as (_, connection):
        found = await seen(connection, 8, namespaces=["shop", "lab"])
    assert found == ["Listing", "Upserted a", "Upserted b", "Synced"] * 2


async def test_a_watch_that_is_left_leaves_no_task_behind(tmp_path: Path):
    async with scripted(tmp_path, lists("a"), streams(event("ADDED", "b"), hold=True)) as (_, connection):
        before = asyncio.all_tasks()
        await seen(connection, 4)
        assert {
            task.get_name() for task in asyncio.all_tasks() - before if "watch" in task.get_name()
        } == set()
