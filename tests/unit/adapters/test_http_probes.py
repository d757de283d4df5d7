"""HTTP probes against real sockets: what passes, what fails, and what could not be asked."""

import asyncio
import json
import socket
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from model_rollback.adapters.probes import http as probes
from model_rollback.adapters.probes.http import ServiceProbes, judge_version, parse_overrides, refused_address
from model_rollback.api.v1alpha1.probe import ExpectVersion, HttpProbe
from model_rollback.ports import ProbeAnswer
from tests.unit.adapters.serving import answer, talking

NAME = "recommender.shop.svc:8080"


def probe(**fields: Any) -> HttpProbe:
    return HttpProbe(**{"service": "recommender", "port": 8080, "path": "/v1/health?x=%20", **fields})


def outside(**fields: Any) -> HttpProbe:
    return HttpProbe(**{"host": "models.example.com", "port": 8080, **fields})


def version(path: str = "$.model_version", value: str | None = None) -> ExpectVersion:
    return ExpectVersion(json_path=path, value=value)


class At:
    """Every Service is there."""

    def __init__(self, *address: Any) -> None:
        self.address_, self.asked = address, []

    async def address(self, *service: Any) -> Any:
        self.asked.append(service)
        return self.address_


NOWHERE = At("10.96.0.7", 8080)


async def ask(port: int, wanted: HttpProbe, **settings: Any) -> ProbeAnswer:
    return await ServiceProbes(NOWHERE, {NAME: f"127.0.0.1:{port}"}, **settings).ask("shop", wanted, "v12")


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """DNS gives these, one at each question; what it was asked."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


async def test_the_expected_status_passes_and_the_service_is_asked_by_name(httpserver: HTTPServer):
    httpserver.expect_request("/v1/health", query_string="x=%20").respond_with_data("fine")
    seen = await ask(httpserver.port, probe())
    [(request, _)] = httpserver.log
    assert seen == ProbeAnswer("Passed", "200", f"http://{NAME}/v1/health?x=%20 answered 200")
    assert request.headers["Host"] == NAME


async def test_the_expected_version_passes(httpserver: HTTPServer):
    httpserver.expect_request("/v1/health").respond_with_json({"model_version": "v12"})
    seen = await ask(httpserver.port, probe(expect_version=version()))
    assert (seen.state, seen.observed) == ("Passed", "v12")


async def test_the_wrong_version_fails_and_says_both(httpserver: HTTPServer):
    httpserver.expect_request("/v1/health").respond_with_json({"model_version": "v13"})
    seen = await ask(httpserver.port, probe(expect_version=version()))
    assert seen == ProbeAnswer("Failed", "v13", f"http://{NAME}/v1/health?x=%20 serves 'v13', expected 'v12'")


async def test_a_wrong_status_fails(httpserver: HTTPServer):
    httpserver.expect_request("/v1/health").respond_with_data("", status=503)
    seen = await ask(httpserver.port, probe())
    assert (seen.state, seen.observed) == ("Failed", "503")
    assert "expected 200" in seen.message


async def test_a_redirect_is_not_followed(httpserver: HTTPServer):
    """Guard: `allow_redirects=False`; a Service could send the operator to any address with its own rights."""
    httpserver.expect_request("/v1/health").respond_with_data("", status=302, headers={"Location": "/ok"})
    httpserver.expect_request("/ok").respond_with_data("fine")
    seen = await ask(httpserver.port, probe())
    assert (seen.state, len(httpserver.log)) == ("Failed", 1)
    assert "redirects are not followed" in seen.message


async def test_a_refused_connection_is_unknown(free_port: int):
    seen = await ask(free_port, probe())
    assert seen.state == "Unknown"
    assert "could not be asked" in seen.message
    assert "refused" in seen.message.lower()


async def test_a_silent_service_is_unknown():
    """Guard: the time-out of `ask`."""
    async with talking(lambda _head, _writer: asyncio.sleep(3600)) as port:
        seen = await ask(port, probe(), seconds=0.2)
    assert (seen.state, "did not answer within 0.2 s" in seen.message) == ("Unknown", True)


async def test_a_service_that_trickles_is_unknown():
    """Guard: the time-out is one for the whole probe, not for each read."""

    async def trickle(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with talking(trickle) as port:
        seen = await ask(port, probe(expect_version=version()), seconds=0.3)
    assert seen.state == "Unknown"


async def test_an_answer_without_end_fails_at_the_size_limit():
    """Guard: `_bounded`; without it this server fills the operator's memory until the time-out."""

    async def flood(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"[" * 65536)
            await writer.drain()

    async with talking(flood) as port:
        seen = await ask(port, probe(expect_version=version()), seconds=60.0)
    assert (seen.state, "more than 65536 bytes" in seen.message) == ("Failed", True)


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff\r\n\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"], ids=["bytes", "nothing", "status"]
)
async def test_something_that_is_not_http_is_unknown(garbage: bytes):
    async def talk(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        await writer.drain()

    async with talking(talk) as port:
        assert (await ask(port, probe())).state == "Unknown"


async def test_cookies_and_proxies_of_the_environment_play_no_part(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, free_port: int
):
    """Guard: `trust_env=False`."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    httpserver.expect_request("/v1/health").respond_with_data("fine")
    assert (await ask(httpserver.port, probe())).state == "Passed"


INSIDE = ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"]


@pytest.mark.parametrize("address", INSIDE)
async def test_a_service_that_is_said_to_be_in_the_operators_own_pod_is_not_asked(
    httpserver: HTTPServer, address: str
):
    """Guard: `refused_address` in `_find`."""
    services = At(address, httpserver.port)
    seen = await ServiceProbes(services).ask("shop", probe(port=httpserver.port), "v12")
    assert (seen.state, httpserver.log) == ("Unknown", [])
    assert f"resolves to {address}" in seen.message
    assert services.asked == [("shop", "recommender", httpserver.port)]


@pytest.mark.parametrize("address", INSIDE)
async def test_dns_cannot_lead_an_allowed_host_into_the_operators_own_pod(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, address: str
):
    """Guard: `refused_address` in `_find`; whoever has the name could give it any address."""
    resolving(monkeypatch, address)
    wanted = outside(port=httpserver.port)
    probes_ = ServiceProbes(NOWHERE, allowed_hosts=[f"models.example.com:{httpserver.port}"])
    seen = await probes_.ask("shop", wanted, "v12")
    assert (seen.state, httpserver.log) == ("Unknown", [])
    assert f"resolves to {address}" in seen.message


async def test_dns_is_asked_once_and_the_address_that_was_checked_is_the_one_that_is_asked(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
):
    """Guard: `_Resolver`; a name that answers differently the second time gains nothing."""
    asked = resolving(monkeypatch, "127.0.0.2", "127.0.0.1")
    monkeypatch.setattr(
        probes, "refused_address", lambda ip: "the second answer" if ip == "127.0.0.1" else None
    )
    wanted = outside(port=httpserver.port)
    await ServiceProbes(NOWHERE, allowed_hosts=[f"models.example.com:{httpserver.port}"]).ask(
        "shop", wanted, "v12"
    )
    assert (asked, httpserver.log) == (["models.example.com"], [])


async def test_a_host_that_is_not_allowed_is_not_even_looked_up(monkeypatch: pytest.MonkeyPatch):
    """Guard: `allowed_hosts`; its port counts too."""
    asked = resolving(monkeypatch, "8.8.8.8")
    seen = await ServiceProbes(NOWHERE, allowed_hosts=["models.example.com:443"]).ask(
        "shop", outside(), "v12"
    )
    assert (seen.state, asked) == ("Unknown", [])
    assert "models.example.com:8080 is not in the operator's setting probes.allowedHosts" in seen.message


async def test_an_override_goes_for_hosts_as_well(httpserver: HTTPServer):
    httpserver.expect_request("/").respond_with_data("fine")
    resolve = {"models.example.com:8080": f"127.0.0.1:{httpserver.port}"}
    assert (await ServiceProbes(NOWHERE, resolve).ask("shop", outside(), "v12")).state == "Passed"


async def test_a_name_that_does_not_resolve_is_unknown(monkeypatch: pytest.MonkeyPatch):
    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    seen = await ServiceProbes(NOWHERE, allowed_hosts=["models.example.com:8080"]).ask(
        "shop", outside(), "v12"
    )
    assert (seen.state, "Name or service not known" in seen.message) == ("Unknown", True)


async def test_a_namespace_that_is_no_name_is_not_put_into_a_url():
    assert (await ServiceProbes(NOWHERE).ask("shop.evil.example/", probe(), "v12")).state == "Unknown"


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1"),
        *("[::1]", "::1", "[::ffff:127.0.0.1]", "169.254.169.254", "a.b@127.0.0.1", "a.b/../x", "a.b:80"),
        *("a..b", "a.b.", "-a.b", "a.b#c", "a.b?c", "a.b\\c", "a b.c", "①②⑦.com", "a.0x7f"),
    ],
)
def test_a_host_is_a_name_and_no_spelling_of_an_address(host: str):
    with pytest.raises(ValueError, match="host"):
        outside(host=host)


REFUSED = {
    "loopback": ("127.0.0.1", "127.0.0.53", "127.255.255.254", "::1"),
    "loopback inside of IPv6": ("::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    "metadata": ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200"),
    "metadata inside of IPv6": ("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
    "link-local": ("169.254.1.1", "fe80::1", "fe80::1%eth0", "fec0::1"),
    "nowhere and everywhere": ("0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1", "224.0.0.1", "ff02::1"),
    "Teredo": ("2001:0:a9fe:a9fe::",),
}  # fmt: skip


@pytest.mark.parametrize("address", [address for group in REFUSED.values() for address in group])
def test_addresses_that_are_never_asked(address: str):
    assert refused_address(address) is not None


@pytest.mark.parametrize("address", ["10.96.0.7", "172.20.1.1", "192.168.1.1", "fd12:3456::7", "8.8.8.8"])
def test_addresses_that_services_have(address: str):
    assert refused_address(address) is None


@pytest.mark.parametrize(
    ("path", "document", "state", "observed"),
    [
        ("$.a.b[0]", {"a": {"b": ["v12", "x"]}}, "Passed", "v12"),
        ("$[1].v", [0, {"v": "v12"}], "Passed", "v12"),
        ("$.model-version", {"model-version": "v12"}, "Passed", "v12"),
        ("$.a", {"a": 12}, "Failed", "12"),
        ("$.a", {"a": True}, "Failed", "true"),
        ("$.a", {"a": None}, "Failed", "null"),
        ("$.a", {"a": {"v12": 1}}, "Failed", ""),
        ("$.a", {}, "Failed", ""),
        ("$.a[3]", {"a": ["v12"]}, "Failed", ""),
        ("$.a[0]", {"a": {"0": "v12"}}, "Failed", ""),
        ("$.a.b", {"a": "v12"}, "Failed", ""),
        ("$.a", {"a": "x" * 1000}, "Failed", "x" * 127 + "…"),
    ],
    ids=str,
)
def test_json_paths(path: str, document: Any, state: str, observed: str):
    seen = judge_version("http://x", json.dumps(document).encode(), path, "v12")
    assert (seen.state, seen.observed) == (state, observed)


def test_a_number_is_compared_as_it_is_written():
    assert judge_version("http://x", b'{"v": 12}', "$.v", "12").state == "Passed"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b"[" * 60_000], ids=["empty", "html", "bytes", "deep"]
)
def test_a_body_that_is_not_json_fails(body: bytes):
    assert judge_version("http://x", body, "$.v", "v12").state == "Failed"


async def test_the_value_of_the_probe_wins_over_the_expected_version(httpserver: HTTPServer):
    httpserver.expect_request("/v1/health").respond_with_json({"model_version": "stable"})
    seen = await ask(httpserver.port, probe(expect_version=version(value="stable")))
    assert seen.state == "Passed"


def test_overrides_name_a_host_a_port_and_an_address():
    assert parse_overrides({NAME: "127.0.0.1:1", "a.b.svc:2": "[::1]:3"}) == {
        ("recommender.shop.svc", 8080): ("127.0.0.1", 1),
        ("a.b.svc", 2): ("::1", 3),
    }


@pytest.mark.parametrize(
    "entry",
    [{"a.b.svc": "127.0.0.1:1"}, {NAME: "127.0.0.1"}, {NAME: "localhost:1"}, {NAME: "127.0.0.1:70000"}],
    ids=str,
)
def test_an_override_of_another_form_is_refused_at_once(entry: dict[str, str]):
    with pytest.raises(ValueError, match="write recommender"):
        parse_overrides(entry)


async def test_other_statuses_can_be_expected():
    async def created(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("204 No Content", b""))
        await writer.drain()

    async with talking(created) as port:
        assert (await ask(port, probe(expect_status=204))).state == "Passed"


def test_the_probe_gives_up_before_a_tick_of_the_default_interval_is_over():
    assert probes.TIMEOUT < 15
