"""Credentials of a source: sent, followed when they rotate, and shown to nobody."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.adapters.metrics_credentials import Basic, Bearer, SecretFile, SecretText
from tests.unit.adapters.asking import AT, PATH, ask, refused, series, success


async def test_a_rotated_token_is_followed(httpserver: HTTPServer, url: str, tmp_path: Path):
    """Guard: `Authorization`; static headers would go on with the first token until it expires."""
    httpserver.expect_request(PATH).respond_with_json(success([]))
    token = tmp_path / "token"
    token.write_text("first\n")
    source = PrometheusSource(SourceConfig(url, credentials=Bearer(SecretFile(token))))
    try:
        await source.query("up", AT)
        token.write_text("second\n")
        await source.query("up", AT)
    finally:
        source.close()
    assert [request.headers["Authorization"] for request, _ in httpserver.log] == [
        "Bearer first",
        "Bearer second",
    ]


async def test_a_missing_token_file_says_so(url: str, tmp_path: Path):
    error = await refused(url, credentials=Bearer(SecretFile(tmp_path / "gone")))
    assert error.kind == "unreachable"
    assert "gone" in str(error)


async def test_basic_credentials_and_headers_are_sent(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_json(success([]))
    await ask(url, credentials=Basic("u", SecretText("p")), headers={"X-Scope-OrgID": "shop"})
    [(request, _)] = httpserver.log
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
    assert request.headers["X-Scope-OrgID"] == "shop"


def echo(request: Request) -> Response:
    """Some proxies quote the request that they refuse, header by header."""
    quoted = "; ".join(f"{name}: {value}" for name, value in request.headers)
    return Response(f"{'x' * 300} bad credentials: {quoted}", status=401)


def echo_as_data(request: Request) -> Response:
    """And a hostile one could hide what it was sent where evidence is kept."""
    sent = request.headers["Authorization"]
    return Response(json.dumps(success([series("1", seen=sent)], warnings=[sent], infos=[sent])))


SECRET = "s3cret/that is+l0ng"
CREDENTIALS = {
    "bearer": lambda file: Bearer(SecretFile(file)),
    "basic": lambda file: Basic("me", SecretFile(file)),
    "basic from a variable": lambda _: Basic("me", SecretText(SECRET)),
}


@pytest.mark.parametrize("kind", CREDENTIALS)
@pytest.mark.parametrize("server", [echo, echo_as_data])
async def test_a_server_that_quotes_credentials_does_not_leak_them(
    httpserver: HTTPServer, url: str, tmp_path: Path, kind: str, server: Any
):
    """Guard: answers are redacted before they are read or cut; what they say ends in conditions and evidence."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    httpserver.expect_request(PATH).respond_with_handler(server)
    config = {"credentials": CREDENTIALS[kind](file), "partial_response": "Allow"}
    said = str(await refused(url, **config)) if server is echo else repr(await ask(url, **config))

    [(request, _)] = httpserver.log
    encoded = base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert request.headers["Authorization"] == (
        f"Bearer {SECRET}" if kind == "bearer" else f"Basic {encoded}"
    )
    for leak in (SECRET[:8], SECRET[-8:], encoded[:8], encoded[-8:]):
        assert leak not in said
    assert "[redacted]" in said or server is echo
    assert SECRET not in repr(config["credentials"])


async def test_the_secret_that_was_just_replaced_does_not_leak_either(
    httpserver: HTTPServer, url: str, tmp_path: Path
):
    """Guard: the redactor learns what is sent; the file holds the next secret already when the answer comes."""
    token = tmp_path / "token"
    token.write_text("the-first-token")

    def rotate_and_echo(request: Request) -> Response:
        token.write_text("the-second-token")
        return Response(f"bad token {request.headers['Authorization']}", status=401)

    httpserver.expect_request(PATH).respond_with_handler(rotate_and_echo)
    error = await refused(url, credentials=Bearer(SecretFile(token)))
    assert "bad token Bearer [redacted]" in str(error)


@pytest.mark.parametrize("broken", ["two\nlines-of-token", "ünïcode-€-token"])
async def test_a_secret_that_cannot_be_sent_is_not_shown(url: str, tmp_path: Path, broken: str):
    token = tmp_path / "token"
    token.write_text(broken)
    error = await refused(url, credentials=Bearer(SecretFile(token)))
    for word in ("two", "lines", "code-"):
        assert word not in str(error)


async def test_a_header_that_holds_a_key_is_not_shown_and_the_tenant_is(httpserver: HTTPServer, url: str):
    httpserver.expect_request(PATH).respond_with_handler(echo)
    error = await refused(url, headers={"X-Key": "k3y-of-the-shop", "X-Scope-OrgID": "shop"})
    [(request, _)] = httpserver.log
    assert (request.headers["X-Key"], request.headers["X-Scope-OrgID"]) == ("k3y-of-the-shop", "shop")
    assert "k3y" not in str(error)
    assert "k3y" not in repr(SourceConfig(url, headers={"X-Key": "k3y-of-the-shop"}))
