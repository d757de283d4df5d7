"""Answers that hold only a part of the truth, as the servers that give them write them."""

import pytest
from pytest_httpserver import HTTPServer

from model_rollback.ports import Answer, Sample
from tests.unit.adapters.asking import PATH, ask, refused, series, success


async def test_a_partial_answer_is_refused_by_default(httpserver: HTTPServer, url: str):
    """Guard: `warnings` from the hook; the library drops them, and half a fleet's average looks like the whole."""
    httpserver.expect_request(PATH).respond_with_json(
        success([series("1")], warnings=["store-2 did not answer"])
    )
    error = await refused(url)
    assert error.kind == "partial"
    assert "store-2 did not answer" in str(error)


async def test_a_partial_answer_is_kept_with_its_warnings_when_allowed(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_json(success([series("1")], warnings=["w"], infos=["i"]))
    assert await ask(url, partial_response="Allow") == Answer((Sample({}, 1.0),), ("w",), ("i",))


PARTIAL = {
    # From the servers' own code: Thanos's proxy, Cortex's partialdata, VictoriaMetrics's vmselect.
    "Thanos, no store": {"warnings": ["No StoreAPIs matched for this query"] * 2},
    "Thanos, a store fails": {
        "warnings": [
            'receive series from Addr: 10.0.0.7:10901 LabelSets: {replica="a"} Mint: 1 Maxt: 2: rpc error: code = '
            "Unavailable desc = connection refused"
        ]
    },
    "Cortex": {"warnings": ["Query result may contain partial data."]},
    "VictoriaMetrics": {"isPartial": True},
    "Prometheus, cut by the limit": {"warnings": ["results truncated due to limit"]},
}


@pytest.mark.parametrize("server", PARTIAL)
async def test_partial_answers_are_recognised_as_their_servers_write_them(
    httpserver: HTTPServer, url: str, server: str
):
    """Guards: `_notes`, and its look at `isPartial`."""
    httpserver.expect_request(PATH).respond_with_json(success([series("1")], **PARTIAL[server]))
    assert (await refused(url)).kind == "partial"
    allowed = await ask(url, partial_response="Allow")
    assert (allowed.samples[0].value, len(allowed.warnings)) == (1.0, 1)


async def test_a_whole_answer_of_victoriametrics_is_believed(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_json(success([series("1")], isPartial=False))
    assert await ask(url) == Answer((Sample({}, 1.0),))


REFUSED_PARTIAL = {
    "Thanos": (
        422,
        "execution",
        "expanding series: proxy Series(): rpc error: code = Aborted desc = fetch series for "
        '{replica="a"}: No such host',
    ),
    "Thanos, no store": (422, "execution", "expanding series: No StoreAPIs matched for this query"),
    "Mimir": (
        500,
        "internal",
        "expanding series: rpc error: code = Unavailable desc = ingester is shutting down",
    ),
}


@pytest.mark.parametrize("server", REFUSED_PARTIAL)
async def test_a_server_that_refuses_to_answer_in_part_is_not_asked_badly(
    httpserver: HTTPServer, url: str, server: str
):
    """Guard: `_PARTIAL`; Thanos reports a store that is down as an error of the query, which nobody could mend."""
    status, error_type, text = REFUSED_PARTIAL[server]
    httpserver.expect_request(PATH).respond_with_json(
        {"status": "error", "errorType": error_type, "error": text}, status=status
    )
    assert (await refused(url)).kind == "partial"


async def test_a_query_that_is_wrong_is_still_told_from_a_partial_answer(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_json(
        {"status": "error", "errorType": "execution", "error": "found duplicate series for the match group"},
        status=422,
    )
    assert (await refused(url)).kind == "bad_query"
