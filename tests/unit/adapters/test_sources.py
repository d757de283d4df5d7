"""From a source's settings to what its Prometheus is sent."""

from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request

from model_rollback.adapters.sources import make_source
from model_rollback.errors import MetricsError
from model_rollback.settings import MetricsSourceSettings
from tests.unit.adapters.asking import AT, PATH, success

BASIC = "Basic dTpzM2NyZXQ="
"""u and s3cret."""


async def ask(url: str, **settings: Any) -> None:
    source = make_source(MetricsSourceSettings.model_validate({"url": url, **settings}))
    try:
        await source.query("up", AT)
    finally:
        source.close()


async def request_of(httpserver: HTTPServer, url: str, **settings: Any) -> Request:
    """What a Prometheus is sent by a source with these settings."""
    httpserver.expect_request(PATH).respond_with_json(success([]))
    await ask(url, **settings)
    (request, _) = httpserver.log[-1]
    return request


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"tenant": "shop"}, {"X-Scope-OrgID": "shop"}),
        ({"headers": {"X-Team": "ml"}}, {"X-Team": "ml"}),
        ({"bearerTokenFile": "secret"}, {"Authorization": "Bearer s3cret"}),
        ({"basicAuth": {"username": "u", "passwordFile": "secret"}}, {"Authorization": BASIC}),
        ({"basicAuth": {"username": "u", "passwordEnv": "PASSWORD"}}, {"Authorization": BASIC}),
    ],
    ids=["tenant", "header", "token", "password in a file", "password in a variable"],
)
async def test_the_headers_that_are_configured_are_sent(
    settings: dict[str, Any],
    headers: dict[str, str],
    httpserver: HTTPServer,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSWORD", "s3cret")
    request = await request_of(httpserver, url, **settings)

    assert {name: request.headers[name] for name in headers} == headers


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, {"timeout": "5s", "limit": "20001", "partial_response": "false", "deny_partial_response": "1"}),
        ({"partialResponse": "Allow"}, {"partial_response": "true", "deny_partial_response": "0"}),
        ({"timeout": "3s", "maxSeries": 7}, {"timeout": "3s", "limit": "8"}),
    ],
    ids=["defaults", "answers in part allowed", "limits"],
)
async def test_the_limits_that_are_configured_are_sent(
    settings: dict[str, Any], sent: dict[str, str], httpserver: HTTPServer, url: str
):
    request = await request_of(httpserver, url, **settings)

    assert {name: request.args[name] for name in sent} == sent


async def test_a_ca_bundle_that_is_not_there_says_so(tmp_path: Path):
    with pytest.raises(MetricsError, match=r"none\.pem") as caught:
        await ask("https://127.0.0.1:1", caFile=str(tmp_path / "none.pem"))
    assert caught.value.kind == "unreachable"
