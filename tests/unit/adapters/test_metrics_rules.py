"""The alerting rules of a source: asked for seldom, and not believed when the answer cannot be."""

import pytest
from pytest_httpserver import HTTPServer

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.errors import MetricsError
from model_rollback.ports import Sample

PATH = "/api/v1/rules"
GROUPS = [
    {
        "name": "slo",
        "rules": [
            {"type": "alerting", "name": "SLOBurn", "health": "ok"},
            {"type": "alerting", "name": "Broken", "health": "err"},
            {"type": "recording", "name": "job:up:sum", "health": "ok"},
        ],
    }
]


def source_of(server: HTTPServer, **settings: object) -> PrometheusSource:
    return PrometheusSource(SourceConfig(server.url_for(""), **{"timeout": 5.0, **settings}))


async def test_alerting_rules_come_with_their_health_and_are_asked_for_once_a_minute(httpserver: HTTPServer):
    query = {"type": "alert", "exclude_alerts": "true"}
    httpserver.expect_ordered_request(
        PATH, query_string=query, headers={"X-Scope-OrgID": "shop"}
    ).respond_with_json({"status": "success", "data": {"groups": GROUPS}})
    source = source_of(httpserver, headers={"X-Scope-OrgID": "shop"})

    first, again = await source.alert_rules(), await source.alert_rules()
    source.close()

    assert again is first
    assert first.samples == (
        Sample({"alertname": "SLOBurn", "health": "ok"}, 1.0),
        Sample({"alertname": "Broken", "health": "err"}, 1.0),
    )
    httpserver.check_assertions()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": "success", "data": {"groups": GROUPS}, "warnings": ["1 ruler is away"]}, "partial"),
        ({"status": "success", "data": {}}, "not_prometheus"),
        ({"status": "error", "errorType": "internal", "error": "no"}, "unavailable"),
        ({"status": "success", "data": {"groups": GROUPS * 2}}, "too_large"),
    ],
    ids=["in part", "without groups", "an error", "too many"],
)
async def test_a_list_that_cannot_be_believed_is_an_error_and_is_asked_for_again(
    httpserver: HTTPServer, answer: dict[str, object], kind: str
):
    httpserver.expect_ordered_request(PATH).respond_with_json(answer)
    httpserver.expect_ordered_request(PATH).respond_with_json({"status": "success", "data": {"groups": []}})
    source = source_of(httpserver, max_series=3)

    with pytest.raises(MetricsError) as caught:
        await source.alert_rules()
    mended = await source.alert_rules()
    source.close()

    assert caught.value.kind == kind
    assert mended.samples == ()
