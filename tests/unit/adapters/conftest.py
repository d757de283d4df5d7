"""What the adapters' tests share."""

import os
import socket
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer


@pytest.fixture(autouse=True)
def _few_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of plain HTTP reads all authorities that the machine trusts: most of what a test here computes."""
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)


@pytest.fixture
def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def threaded() -> Iterator[HTTPServer]:
    """An HTTP server that answers several requests at a time."""
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


@pytest.fixture
def url(httpserver: HTTPServer) -> str:
    """Where the HTTP server of the test listens."""
    return httpserver.url_for("")
