"""Range queries: as many requests as Prometheus's limit takes, one answer; the docstring names the guard."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.adapters.metrics_answers import MAX_POINTS, split_range
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, RangeAnswer, Sample

START = datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)
STEP = timedelta(seconds=15)
PATH = "/api/v1/query_range"


def matrix(*series: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}, **beside}


def line(labels: dict[str, str], **values: str) -> dict[str, Any]:
    """`_0="1"` is a sample at START + 0 seconds."""
    points = [[START.timestamp() + int(name[1:]), text] for name, text in values.items()]
    return {"metric": labels, "values": points}


async def ask(server: HTTPServer, *, steps: int, step: timedelta = STEP, **settings: Any) -> RangeAnswer:
    """`steps` after the first."""
    source = PrometheusSource(SourceConfig(server.url_for(""), **{"timeout": 5.0, **settings}))
    try:
        return await source.query_range("up", START, START + steps * step, step)
    finally:
        source.close()


async def refused(server: HTTPServer, *, steps: int = 1, **settings: Any) -> MetricsError:
    with pytest.raises(MetricsError) as caught:
        await ask(server, steps=steps, **settings)
    return caught.value


async def test_series_stand_beside_the_moments_that_were_asked_for(httpserver: HTTPServer):
    httpserver.expect_request(PATH).respond_with_json(
        matrix(line({"model": "a"}, _0="1", _30="3"), line({"model": "b"}, _15="2"))
    )

    found = await ask(httpserver, steps=2)

    assert found.moments == (START, START + STEP, START + 2 * STEP)
    assert [(one.labels, one.values) for one in found.series] == [
        ({"model": "a"}, (1.0, None, 3.0)),
        ({"model": "b"}, (None, 2.0, None)),
    ]


async def test_each_step_reads_like_an_instant_answer(httpserver: HTTPServer):
    httpserver.expect_request(PATH).respond_with_json(
        matrix(line({"model": "a"}, _0="1"), line({"model": "b"}, _0="5", _15="2"), infos=["i"])
    )

    found = await ask(httpserver, steps=2)

    assert list(found.steps()) == [
        (START, Answer((Sample({"model": "a"}, 1.0), Sample({"model": "b"}, 5.0)), infos=("i",))),
        (START + STEP, Answer((Sample({"model": "b"}, 2.0),), infos=("i",))),
        (START + 2 * STEP, Answer((), infos=("i",))),
    ]


async def test_the_request_keeps_milliseconds(httpserver: HTTPServer):
    """Guard: start and end in `params`; `custom_query_range` rounds them to seconds, 250 ms away from the ticks."""
    httpserver.expect_request(PATH).respond_with_json(matrix())
    await ask(httpserver, steps=4, max_series=99)
    [(request, _)] = httpserver.log
    assert dict(request.args) == {
        "query": "up",
        "start": "1767607200.250",
        "end": "1767607260.250",
        "step": "15.000",
        "timeout": "5s",
        "limit": "100",
        "partial_response": "false",
        "deny_partial_response": "1",
    }


def answer_each_request(server: HTTPServer, **beside: Any) -> None:
    """Each request gets a series of its own and one that they share, at their first moment."""

    def handle(request: Request) -> Response:
        at = float(request.args["start"])
        series = [{"metric": {"name": n}, "values": [[at, "1"]]} for n in ("all", request.args["start"])]
        return Response(json.dumps(matrix(*series, **beside)))

    server.expect_request(PATH).respond_with_handler(handle)


async def test_a_long_range_is_several_requests_and_one_answer(httpserver: HTTPServer):
    """Guard: `split_range`; Prometheus refuses more than 11,000 points of a series."""
    answer_each_request(httpserver, infos=["i"])

    found = await ask(httpserver, steps=2 * MAX_POINTS, step=timedelta(seconds=1))

    spans = [(float(r.args["start"]), float(r.args["end"])) for r, _ in httpserver.log]
    first = START.timestamp()
    assert spans == [
        (first, first + 10_999),
        (first + 11_000, first + 21_999),
        (first + 22_000, first + 22_000),
    ]
    assert len(found.moments) == 22_001
    assert found.infos == ("i",)
    at = {
        one.labels["name"]: [n for n, value in enumerate(one.values) if value is not None]
        for one in found.series
    }
    assert at == {
        "all": [0, 11_000, 22_000],
        f"{first:.3f}": [0],
        f"{first + 11_000:.3f}": [11_000],
        f"{first + 22_000:.3f}": [22_000],
    }
    assert {len(one.values) for one in found.series} == {22_001}


async def test_the_limits_hold_for_all_requests_together(httpserver: HTTPServer):
    """Guards: the budget of bytes that goes from request to request, and the limit on joined series."""
    answer_each_request(httpserver)
    long = {"steps": 2 * MAX_POINTS, "step": timedelta(seconds=1)}

    assert (await refused(httpserver, **long, max_series=3)).kind == "too_large"
    assert len((await ask(httpserver, **long, max_series=4)).series) == 4
    size = len(json.dumps(matrix({"metric": {"name": "all"}, "values": [[1767607200.25, "1"]]})))
    assert (await refused(httpserver, **long, max_bytes=3 * size)).kind == "too_large"


async def test_a_part_with_warnings_spoils_the_whole(httpserver: HTTPServer):
    answer_each_request(httpserver, warnings=["store-2 did not answer"])
    assert (await refused(httpserver, steps=MAX_POINTS)).kind == "partial"
    allowed = await ask(httpserver, steps=MAX_POINTS, partial_response="Allow")
    assert allowed.warnings == ("store-2 did not answer",)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"status": "success", "data": {"resultType": "vector", "result": []}}, "unexpected_type"),
        (matrix({"metric": {}, "histograms": [[1, {"count": "3"}]]}), "unexpected_type"),
        (matrix(line({}, _7="1")), "not_prometheus"),
        (matrix({"metric": {}, "values": [[1]]}), "not_prometheus"),
    ],
    ids=["vector", "native histograms", "a moment that was not asked for", "half a point"],
)
async def test_other_shapes_are_refused(httpserver: HTTPServer, body: Any, kind: str):
    httpserver.expect_request(PATH).respond_with_json(body)
    assert (await refused(httpserver)).kind == kind


async def test_refusals_are_those_of_instant_queries(httpserver: HTTPServer):
    httpserver.expect_request(PATH).respond_with_json(
        {"status": "error", "errorType": "bad_data", "error": "parse error"}, status=400
    )
    error = await refused(httpserver)
    assert (error.kind, "parse error" in str(error), len(httpserver.log)) == ("bad_query", True, 1)


@pytest.mark.parametrize(
    ("end", "step"), [(START - STEP, STEP), (START, timedelta(0)), (START, timedelta(microseconds=400))]
)
def test_what_is_no_range_is_refused(end: datetime, step: timedelta):
    with pytest.raises(ValueError, match="no range"):
        split_range(START, end, step)
