"""Where the cluster's description comes from, and that its credentials are followed and kept quiet."""

from pathlib import Path

import aiohttp
import pytest

from model_rollback.adapters import connection as module
from model_rollback.adapters.connection import NotConfiguredError, connect
from model_rollback.errors import NotLeading
from tests.unit.adapters.apiserver import kubeconfig, says, scripted


async def test_nothing_named_is_an_error_that_says_how_to_name_it():
    """Guard: no default path; else an operator on a laptop starts on the cluster of the day."""
    with pytest.raises(NotConfiguredError, match="pass --kubeconfig, set KUBECONFIG, or run in a Pod"):
        await connect(environ={})


@pytest.mark.parametrize("text", ["", "[]", "kind: Config", "{", "current-context: x"], ids=repr)
async def test_a_kubeconfig_that_is_none_is_an_error_with_its_path(tmp_path: Path, text: str):
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(NotConfiguredError, match="broken cannot be used"):
        await connect(str(path))


async def test_a_kubeconfig_that_is_missing_is_an_error(tmp_path: Path):
    with pytest.raises(NotConfiguredError, match="absent cannot be used"):
        await connect(str(tmp_path / "absent"))


async def test_the_argument_wins_over_the_environment(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(kubeconfig(f"https://{name}.example:6443/"))
    environ = {"KUBECONFIG": str(tmp_path / "b"), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    one = await connect(str(tmp_path / "a"), environ=environ)
    two = await connect(environ=environ)
    assert (await one.login()).server == "https://a.example:6443"
    assert (await two.login()).server == "https://b.example:6443"
    await one.close()
    await two.close()


@pytest.mark.parametrize(
    ("environ", "own", "used"),
    [
        ({}, {}, None),
        ({"https_proxy": "http://proxy:1"}, {}, "http://proxy:1"),
        ({"https_proxy": "http://proxy:1", "no_proxy": "a.example"}, {}, None),
        ({"https_proxy": "http://proxy:1"}, {"proxy-url": "http://own:2"}, "http://own:2"),
    ],
    ids=["none", "of the environment", "not for this host", "of the kubeconfig"],
)
async def test_the_proxy_is_looked_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ, own, used
):
    """Guard: `trust_env`; with it, each request reads the environment and ~/.netrc anew, in a thread."""
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("https://a.example:6443", cluster=own))
    connection = await connect(str(path))
    login = await connection.login()
    assert login.proxy_url == used
    assert connection.client.configuration.client_session_kwargs["trust_env"] is False
    await connection.close()


async def test_no_request_reads_the_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr("aiohttp.client.netrc_from_env", lambda: pytest.fail("it was read"), raising=False)
    async with scripted(tmp_path, says("200 OK", {})) as (script, connection):
        await connection.request("GET", "/x", what="ask")
    assert "Bearer t0ken" in script.heads[0]


async def test_a_kubeconfig_is_never_written(tmp_path: Path):
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("https://a.example:6443"))
    path.chmod(0o400)
    before = path.stat().st_mtime_ns
    await (await connect(str(path))).close()
    assert path.stat().st_mtime_ns == before


async def test_the_login_carries_the_token_and_does_not_show_it(tmp_path: Path):
    async with scripted(tmp_path) as (_, connection):
        login = await connection.login()
    assert (login.scheme, login.token) == ("Bearer", "t0ken")
    assert "t0ken" not in repr(login)


async def test_a_rotated_token_file_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Guard: `_refresh`; the library reads a kubeconfig's token file once."""
    monkeypatch.setattr(module, "TOKEN_REFRESH", 0.0)
    token = tmp_path / "token"
    token.write_text("first")
    async with scripted(tmp_path, says("200 OK", {}), says("200 OK", {})) as (script, server):
        path = tmp_path / "kubeconfig"
        path.write_text(kubeconfig(server.client.configuration.host, tokenFile=str(token)))
        connection = await connect(str(path))
        await connection.request("GET", "/x", what="ask")
        token.write_text("second")
        await connection.request("GET", "/x", what="ask")
        await connection.close()
    assert ["Bearer first" in script.heads[0], "Bearer second" in script.heads[1]] == [True, True]


async def test_who_does_not_lead_sends_reads_and_nothing_else(tmp_path: Path):
    """Guard: the one place that every write of this process passes; a woken process is stopped here."""
    may_write = True
    async with scripted(tmp_path, says("200 OK", {}), says("200 OK", {})) as (script, connection):
        connection.guard(lambda: may_write)
        await connection.request("PATCH", "/x", what="patch x", body=[])
        may_write = False
        for method in ("PATCH", "POST", "PUT", "DELETE"):
            with pytest.raises(NotLeading, match="does not lead"):
                await connection.request(method, "/x", what="write x", body={})
        await connection.request("GET", "/x", what="get x")
    assert [head.split()[0] for head in script.heads] == ["PATCH", "GET"]


async def test_who_stops_leading_while_a_connection_is_opened_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    may_write = True
    opened = aiohttp.TCPConnector.connect

    async def open_slowly(*args, **kwargs):
        nonlocal may_write
        connection = await opened(*args, **kwargs)
        may_write = False
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", open_slowly)
    async with scripted(tmp_path, says("200 OK", {})) as (script, connection):
        connection.guard(lambda: may_write)
        with pytest.raises(NotLeading, match="patch x: not sent"):
            await connection.request("PATCH", "/x", what="patch x", body=[])
    assert script.heads == []
