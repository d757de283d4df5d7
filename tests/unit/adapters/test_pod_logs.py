"""Pod logs: which containers have one, and what a bounded piece of one gives."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from model_rollback.adapters.pods import label_selector
from model_rollback.adapters.probes.logs import LINE_LIMIT, ClusterPodLogs
from model_rollback.errors import Forbidden, NotFound, Refused, Unavailable
from model_rollback.ports import LogLine, LogStream
from tests.unit.adapters.apiserver import says, scripted, silence, status

SELECTOR = {"matchLabels": {"app": "recommender"}}
POD = LogStream("recommender-x", "uid-1", "server", 0)
SINCE = datetime(2026, 1, 5, 11, 0, 0, 700_000, tzinfo=timezone(timedelta(hours=1)))


def pod(*statuses, **metadata):
    return {
        "metadata": {"name": "recommender-x", "uid": "uid-1", **metadata},
        "status": {"containerStatuses": list(statuses)},
    }


def container(state, restarts=0, name="server", **more):
    return {"name": name, "state": {state: {}}, "restartCount": restarts, **more}


DIED = {"lastState": {"terminated": {"exitCode": 1}}}
STREAMS = {
    "running": ([pod(container("running"))], [(0, False)]),
    "ended": ([pod(container("terminated"))], [(0, False)]),
    "not started yet": ([pod(container("waiting"))], []),
    "started again: the life before as well": ([pod(container("running", 2))], [(2, False), (1, True)]),
    "waiting after a crash: the life that ended": ([pod(container("waiting", 3, **DIED))], [(3, False)]),
    "being deleted": ([pod(container("running"), deletionTimestamp="2026-01-05T10:00:00Z")], []),
    "without a status": ([{"metadata": {"name": "a", "uid": "b"}}], []),
}


@pytest.mark.parametrize("case", STREAMS)
async def test_which_containers_have_a_log(case: str, tmp_path: Path):
    items, expected = STREAMS[case]
    async with scripted(tmp_path, says("200 OK", {"items": items})) as (script, connection):
        found = await ClusterPodLogs(connection).streams("shop", SELECTOR)
    assert [(s.life, s.previous) for s in found] == expected
    assert script.requests == [
        ("GET", "/api/v1/namespaces/shop/pods", {"labelSelector": "app=recommender", "limit": "500"})
    ]


async def test_one_container_of_several(tmp_path: Path):
    items = [pod(container("running"), container("running", name="proxy"))]
    async with scripted(tmp_path, says("200 OK", {"items": items})) as (_, connection):
        found = await ClusterPodLogs(connection).streams("shop", SELECTOR, "proxy")
    assert [s.container for s in found] == ["proxy"]


async def test_more_pods_than_anybody_should_read_are_refused(tmp_path: Path):
    page = {"items": [], "metadata": {"continue": "token"}}
    async with scripted(tmp_path, says("200 OK", page)) as (_, connection):
        with pytest.raises(Refused, match="more than 500 pods"):
            await ClusterPodLogs(connection).streams("shop", SELECTOR)


SELECTORS = {
    "a=b,c=d": {"matchLabels": {"a": "b", "c": "d"}},
    "a in (x,y),b notin (z),c,!d": {
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["x", "y"]},
            {"key": "b", "operator": "NotIn", "values": ["z"]},
            {"key": "c", "operator": "Exists"},
            {"key": "d", "operator": "DoesNotExist"},
        ]
    },
    "": {},
}


@pytest.mark.parametrize("text", SELECTORS)
def test_selectors(text: str):
    assert label_selector(SELECTORS[text]) == text


async def read(tmp_path, body, stream=POD, **settings):
    async with scripted(tmp_path, says("200 OK", body, "Content-Type: text/plain")) as (script, connection):
        part = await ClusterPodLogs(connection, **settings).read("shop", stream, SINCE)
    return script.requests[0], part


async def test_lines_come_with_their_times_in_utc(tmp_path: Path):
    body = (
        b"2026-01-05T10:00:01.123456789Z one two\n"
        b"2026-01-05T11:00:02+01:00 \n"
        b"no time\n"
        b"2026-01-05T10:00:03 no zone\n"
        b"2026-01-05T10:00:04Z \xff\xfe\n"
    )
    (_, path, query), part = await read(tmp_path, body)
    assert path == "/api/v1/namespaces/shop/pods/recommender-x/log"
    assert query == {
        "container": "server",
        "timestamps": "true",
        "sinceTime": "2026-01-05T10:00:00Z",
        "limitBytes": "1048576",
    }
    assert part.lines == (
        LogLine(datetime(2026, 1, 5, 10, 0, 1, 123456, tzinfo=UTC), "one two"),
        LogLine(datetime(2026, 1, 5, 10, 0, 2, tzinfo=UTC), ""),
        LogLine(datetime(2026, 1, 5, 10, 0, 4, tzinfo=UTC), "��"),
    )
    assert not part.more


async def test_the_life_before_is_asked_for_as_such(tmp_path: Path):
    (_, _, query), _ = await read(
        tmp_path, b"", LogStream("recommender-x", "uid-1", "server", 0, previous=True)
    )
    assert query["previous"] == "true"


async def test_a_piece_ends_at_the_limit_whatever_the_server_sends_and_leaves_the_broken_line(tmp_path: Path):
    """Guard: `_bounded`; an API server of another opinion on `limitBytes` does not fill the operator's memory."""
    line = b"2026-01-05T10:00:01Z abc\n"
    _, part = await read(tmp_path, line * 1000, part_limit=len(line) * 3 + 10)
    assert ([x.text for x in part.lines], part.more) == (["abc"] * 3, True)


async def test_a_line_without_end_is_looked_at_as_far_as_it_goes(tmp_path: Path):
    body = b"2026-01-05T10:00:01Z " + b"x" * 100_000
    _, part = await read(tmp_path, body, part_limit=50_000)
    assert ([len(x.text) for x in part.lines], part.more) == ([LINE_LIMIT], True)


REFUSALS = {
    "a right that is missing": (says("403 Forbidden", status(403, "pods/log is forbidden")), Forbidden),
    "a pod that is gone": (says("404 Not Found", status(404, "pods not found")), NotFound),
    "a kubelet that does not answer": (says("500 Internal Server Error", b"dial tcp"), Unavailable),
    "silence": (silence, Unavailable),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_what_cannot_be_read_is_an_error_of_ours(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("model_rollback.adapters.probes.logs._SECONDS", 0.3)
    step, error = REFUSALS[case]
    async with scripted(tmp_path, step) as (_, connection):
        with pytest.raises(error):
            await ClusterPodLogs(connection).read("shop", POD, SINCE)
