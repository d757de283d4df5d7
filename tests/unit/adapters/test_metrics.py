"""One test per trap of prometheus-api-client 0.7.2; the docstring names the guard without which it fails."""

import asyncio
import gzip
import json
import math
import threading
from datetime import timedelta
from typing import Any

import pytest
from prometheus_api_client import PrometheusConnect
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample
from tests.unit.adapters.asking import AT, PATH, ask, refused, series, success
from tests.unit.adapters.serving import Talk, answer, talking


async def test_a_vector_becomes_samples_with_labels(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_json(
        success([series("0.93", model="a"), series("1e3", model="b")])
    )
    assert await ask(url) == Answer((Sample({"model": "a"}, 0.93), Sample({"model": "b"}, 1000.0)))


async def test_an_empty_vector_is_an_answer_without_samples(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_json(success([]))
    assert await ask(url) == Answer(())


@pytest.mark.parametrize(
    ("text", "check"),
    [("NaN", math.isnan), ("+Inf", lambda x: x == math.inf), ("-Inf", lambda x: x == -math.inf)],
    ids=["NaN", "+Inf", "-Inf"],
)
async def test_numbers_that_json_has_not_come_through(
    httpserver: HTTPServer, url: str, text: str, check: Any
):
    """Guard: values are parsed by `_number`; the library leaves strings, and "NaN" < 0.9 is a TypeError later."""
    httpserver.expect_request(PATH).respond_with_json(success([series(text)]))
    assert check((await ask(url)).samples[0].value)


async def test_a_scalar_is_one_sample_without_labels(httpserver: HTTPServer, url: str):
    """Guard: `resultType` from the hook; the library returns `[time, "42"]`, which reads like two series."""
    httpserver.expect_request(PATH).respond_with_json(success([AT.timestamp(), "42"], "scalar"))
    assert await ask(url) == Answer((Sample({}, 42.0),))


@pytest.mark.parametrize(
    ("result_type", "result"),
    [("matrix", [{"metric": {}, "values": [[1, "1"]]}]), ("matrix", []), ("string", [1, "x"])],
    ids=["matrix", "empty matrix", "string"],
)
async def test_other_result_types_are_refused(
    httpserver: HTTPServer, url: str, result_type: str, result: Any
):
    """Guard: the check of `resultType`; an empty matrix would pass for "no data" for ever."""
    httpserver.expect_request(PATH).respond_with_json(success(result, result_type))
    error = await refused(url)
    assert error.kind == "unexpected_type"
    assert "query must return an instant vector or a scalar" in str(error)


async def test_native_histograms_are_refused(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_json(
        success([{"metric": {}, "histogram": [1, {"count": "3"}]}])
    )
    assert (await refused(url)).kind == "unexpected_type"


async def test_infos_are_kept_and_refuse_nothing(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_json(success([], infos=["not a counter"]))
    assert (await ask(url)).infos == ("not a counter",)


async def test_answers_of_concurrent_queries_are_not_mixed_up(
    threaded: HTTPServer, monkeypatch: pytest.MonkeyPatch
):
    """Guard: the hook stores per thread; with one shared slot a warning of one query condemns another."""
    barrier = threading.Barrier(4, timeout=10)
    custom_query = PrometheusConnect.custom_query

    def all_return_together(*words: Any, **named: Any) -> Any:
        result = custom_query(*words, **named)
        barrier.wait()
        return result

    monkeypatch.setattr(PrometheusConnect, "custom_query", all_return_together)

    def handle(request: Request) -> Response:
        number = request.args["query"]
        return Response(json.dumps(success([series(number)], infos=[number])))

    threaded.expect_request(PATH).respond_with_handler(handle)
    source = PrometheusSource(SourceConfig(threaded.url_for(""), concurrency=4))
    try:
        answers = await asyncio.gather(*(source.query(str(number), AT) for number in range(4)))
    finally:
        source.close()
    assert [(a.samples[0].value, a.infos) for a in answers] == [(float(n), (str(n),)) for n in range(4)]


async def test_no_more_queries_run_at_a_time_than_configured(threaded: HTTPServer):
    """Guard: the pool's size; Prometheus allows 20 in all, for everybody."""
    running, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2, timeout=10)

    def handle(_: Request) -> Response:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1
        return Response(json.dumps(success([])))

    threaded.expect_request(PATH).respond_with_handler(handle)
    source = PrometheusSource(SourceConfig(threaded.url_for(""), concurrency=2))
    try:
        await asyncio.gather(*(source.query("up", AT) for _ in range(6)))
    finally:
        source.close()
    assert most == 2


async def test_the_query_says_when_and_how_much(httpserver: HTTPServer, url: str):
    """Guard: explicit parameters; without `time` two replicas judge different samples."""
    httpserver.expect_request(PATH).respond_with_json(success([]))
    await ask(url, 'up{job="a b"}', timeout=7.5, max_series=99)
    [(request, _)] = httpserver.log
    assert dict(request.args) == {
        "query": 'up{job="a b"}',
        "time": "1767607200.250",
        "timeout": "7s",
        "limit": "100",
        "partial_response": "false",
        "deny_partial_response": "1",
    }


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (
            400,
            {"status": "error", "errorType": "bad_data", "error": "parse error"},
            "bad_query",
            "parse error",
        ),
        (
            422,
            {"status": "error", "errorType": "execution", "error": "too many samples"},
            "bad_query",
            "execution",
        ),
        (200, {"status": "error", "errorType": "execution", "error": "odd"}, "bad_query", "odd"),
        (
            503,
            {"status": "error", "errorType": "timeout", "error": "query timed out"},
            "timeout",
            "timed out",
        ),
        (503, "no healthy upstream", "unavailable", "no healthy upstream"),
        (500, {"status": "error", "errorType": "internal", "error": "disk"}, "unavailable", "disk"),
        (429, "slow down", "unavailable", "429"),
        (401, "who are you", "unauthorized", "401"),
        (403, "no", "unauthorized", "403"),
        (404, "404 page not found", "not_prometheus", "404"),
        (414, "URI too long", "bad_query", "414"),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_refusals_have_a_kind_and_the_servers_text(
    httpserver: HTTPServer, url: str, status: int, body: Any, kind: str, text: str
):
    """Guard: the hook reads error bodies; the library raises one exception with raw bytes for all."""
    data = body if isinstance(body, str) else json.dumps(body)
    httpserver.expect_request(PATH).respond_with_data(data, status=status)
    error = await refused(url)
    assert (error.kind, text in str(error)) == (kind, True), str(error)


async def test_a_503_is_asked_once_and_told_at_once(httpserver: HTTPServer, url: str):
    """Guard: `Retry(total=0)`; by default it costs four requests, six seconds and a foreign exception."""
    httpserver.expect_request(PATH).respond_with_data("down", status=503)
    assert (await refused(url)).kind == "unavailable"
    assert len(httpserver.log) == 1


def test_the_library_does_not_replace_the_connection_pool(url: str):
    """Guard: the adapter stands on a longer prefix than the library's own, whose pool keeps only ten."""
    source = PrometheusSource(SourceConfig(url, concurrency=17))
    pool = source._client._session.get_adapter(
        f"{url.rstrip('/')}/api/v1/query"
    ).poolmanager.connection_pool_kw
    source.close()
    assert (pool["maxsize"], pool["block"]) == (17, True)


async def test_a_login_page_is_not_prometheus(httpserver: HTTPServer, url: str):
    """Guard: JSON is decoded in the hook; the library lets requests' JSONDecodeError through."""
    httpserver.expect_request(PATH).respond_with_data("<html>sign in</html>", content_type="text/html")
    error = await refused(url)
    assert error.kind == "not_prometheus"
    assert "text/html" in str(error)


async def test_a_redirect_is_not_followed(httpserver: HTTPServer, url: str):
    """Guard: the hook's look at redirects; requests would go wherever a proxy points, and believe what is there."""
    httpserver.expect_request(PATH).respond_with_data("", status=302, headers={"Location": "/elsewhere"})
    httpserver.expect_request("/elsewhere").respond_with_json(success([series("0")]))
    error = await refused(url)
    assert (error.kind, len(httpserver.log)) == ("not_prometheus", 1)
    assert "redirects to /elsewhere" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"status": "success"},
        {"status": "success", "data": []},
        success([{"metric": {}, "value": [1]}]),
        success([{"metric": {}, "value": [1, "many"]}]),
        success([{"metric": {}, "value": [1, 0.5]}]),
        success({"0": "1"}),
    ],
    ids=lambda body: json.dumps(body)[:60],
)
async def test_json_of_another_shape_is_not_prometheus(httpserver: HTTPServer, url: str, body: Any):
    httpserver.expect_request(PATH).respond_with_json(body)
    assert (await refused(url)).kind == "not_prometheus"


async def test_a_refused_connection_is_unreachable_and_the_message_stands_still(free_port: int):
    """Guard: `_reason`; the library's text holds the query's time and would change a condition at every tick."""
    error = await refused(f"http://127.0.0.1:{free_port}")
    assert error.kind == "unreachable"
    assert str(error) == f"http://127.0.0.1:{free_port} cannot be reached: [Errno 111] Connection refused"


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def trickling(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n")
    for _ in range(5000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


def once(slow: Any) -> Talk:
    """A server that is slow with its first answer only."""
    connections = 0

    async def talk(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await slow(writer)
        writer.write(answer("200 OK", success([])))
        await writer.drain()

    return talk


@pytest.mark.parametrize("slow", [silent, trickling])
async def test_a_slow_server_ends_in_a_time_out_and_frees_its_thread(slow: Any):
    """Guards: the explicit time-out (the library's default is none) and the deadline of `_BoundedBody`.

    A silent server would hold the only thread for ever; each byte of a trickling one starts requests' socket
    time-out anew, for 100 s.
    """
    async with talking(once(slow)) as port:
        source = PrometheusSource(SourceConfig(f"http://127.0.0.1:{port}", timeout=2.0, concurrency=1))
        try:
            with pytest.raises(MetricsError) as caught:
                await source.query("up", AT)
            assert caught.value.kind == "timeout"
            assert await source.query("up", AT) == Answer(())
        finally:
            source.close()


async def test_a_question_ends_when_its_asker_must_go_on_and_so_does_its_thread():
    """Guard: `within`; a source's own time-out may be longer than the time between two ticks."""
    async with talking(once(silent)) as port:
        source = PrometheusSource(SourceConfig(f"http://127.0.0.1:{port}", timeout=5.0, concurrency=1))
        try:
            with pytest.raises(MetricsError, match=r"did not answer within 0\.5 s") as caught:
                await source.query("up", AT, within=timedelta(seconds=0.5))
            assert caught.value.kind == "timeout"
            assert await source.query("up", AT) == Answer(())
        finally:
            source.close()


async def test_waiting_for_a_turn_has_an_end_too():
    enough = asyncio.Event()

    async def slow(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await enough.wait()
        writer.write(answer("200 OK", success([])))
        await writer.drain()

    async with talking(slow) as port:
        source = PrometheusSource(SourceConfig(f"http://127.0.0.1:{port}", timeout=60, concurrency=1))
        try:
            first = asyncio.create_task(source.query("up", AT))
            await asyncio.sleep(0)
            with pytest.raises(MetricsError, match=r"turn did not come within 0\.2 s") as caught:
                await source.query("up", AT, within=timedelta(seconds=0.2))
            assert caught.value.kind == "timeout"
            enough.set()
            assert await first == Answer(())
        finally:
            source.close()


async def test_a_broken_off_answer_is_unavailable():
    async def cut(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()

    async with talking(cut) as port:
        assert (await refused(f"http://127.0.0.1:{port}")).kind in ("unavailable", "unreachable")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip bomb"])
async def test_an_answer_over_the_size_limit_is_refused(httpserver: HTTPServer, url: str, packed: bool):
    """Guard: `_BoundedBody` counts decoded bytes while reading; the library reads any answer into memory."""
    body = json.dumps(success([series("1", pad="x" * 200_000)])).encode()
    headers = {"Content-Encoding": "gzip"} if packed else {}
    httpserver.expect_request(PATH).respond_with_data(
        gzip.compress(body) if packed else body, headers=headers
    )
    error = await refused(url, max_bytes=100_000)
    assert error.kind == "too_large"
    assert (await ask(url, max_bytes=300_000)).samples[0].value == 1.0


async def test_an_announced_size_is_refused_before_it_is_read():
    """Guard: the look at Content-Length; this server sends no byte of the body, so reading would time out."""

    async def announce(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(3600)

    async with talking(announce) as port:
        assert (await refused(f"http://127.0.0.1:{port}", max_bytes=1000)).kind == "too_large"


async def test_too_many_series_are_refused_although_the_server_cut_them(httpserver: HTTPServer, url: str):
    """Guard: `limit` is one more than allowed, so a cut is seen even where partial answers are allowed."""
    body = success([series("1", n=str(n)) for n in range(4)], warnings=["results truncated due to limit"])
    httpserver.expect_request(PATH).respond_with_json(body)
    assert (await refused(url, max_series=3, partial_response="Allow")).kind == "too_large"
    assert len((await ask(url, max_series=4, partial_response="Allow")).samples) == 4


async def test_the_environment_does_not_choose_whom_to_believe(
    httpserver: HTTPServer, url: str, monkeypatch: pytest.MonkeyPatch, free_port: int
):
    """Guard: `trust_env = False`; a proxy variable would send queries elsewhere."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    httpserver.expect_request(PATH).respond_with_json(success([]))
    assert await ask(url) == Answer(())


@pytest.mark.parametrize("text", ["prometheus:9090", "ftp://x", "http://"])
def test_a_url_that_is_none_is_refused_at_once(text: str):
    with pytest.raises(ValueError, match="needs a URL such as"):
        PrometheusSource(SourceConfig(text))


@pytest.mark.parametrize("text", ["http://me:s3cret@prometheus", "http://me@prometheus"])
def test_credentials_in_a_url_are_refused_and_not_shown(text: str):
    with pytest.raises(ValueError, match="do not belong in a URL") as caught:
        PrometheusSource(SourceConfig(text))
    assert "s3cret" not in str(caught.value)
