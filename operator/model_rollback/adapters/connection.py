"""The connection to the API server: explicit configuration, a time-out on every request, errors in our words.

Configured by a kubeconfig that was named (argument or `KUBECONFIG`), else by the Pod's ServiceAccount; never by
whatever lies in the home directory, so that an operator cannot start against a cluster that nobody named.
"""

import asyncio
import importlib.metadata
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from pydantic_core import from_json

from model_rollback.adapters.refusals import translate_exception, translate_refusal
from model_rollback.errors import ClusterError, NotLeading, OutsideError, Unavailable

DISTRIBUTION = "model-rollback-operator"
TOTAL_TIMEOUT = 15.0
CONNECT_TIMEOUT = 5.0
TOKEN_REFRESH = 60.0
"""Seconds between two looks at a kubeconfig's token file; the library does the same for a Pod's token."""

_AUTH = ["BearerToken"]


def user_agent() -> str:
    """Name and version, as audit logs show them; without a version when the package is run uninstalled."""
    try:
        return f"{DISTRIBUTION}/{importlib.metadata.version(DISTRIBUTION)}"
    except importlib.metadata.PackageNotFoundError:
        return DISTRIBUTION


class NotConfiguredError(OutsideError):
    """There is no usable description of a cluster; the message says how to give one."""


@dataclass(frozen=True, slots=True)
class Login:
    """What another client needs to reach the same API server as the same user.

    Attributes:
        server: URL without a trailing slash.
        scheme: of the Authorization header, e.g. `Bearer`; None with client certificates alone.
        token: what follows the scheme; kept out of `repr`.
    """

    server: str
    ca_file: str | None = None
    insecure: bool = False
    scheme: str | None = None
    token: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    proxy_url: str | None = None

    def __repr__(self) -> str:
        return f"Login(server={self.server!r}, scheme={self.scheme!r})"


class Connection:
    """Sends JSON to the API server and gets JSON back. All requests raise subclasses of `ClusterError`."""

    def __init__(
        self, client: ApiClient, *, total: float = TOTAL_TIMEOUT, connect: float = CONNECT_TIMEOUT
    ) -> None:
        self.client = client
        self.client.user_agent = user_agent()
        self.client.configuration.client_session_kwargs = {
            # With it, aiohttp would look for a proxy and read ~/.netrc anew for each request, in a thread.
            "trust_env": False,
            "request_class": _guarded(self.may_write),
        }
        self._timeout = aiohttp.ClientTimeout(total=total, sock_connect=connect)
        self._connect = connect
        self._may_write: Callable[[], bool] = lambda: True

    def guard(self, may_write: Callable[[], bool]) -> None:
        """`may_write` is asked as each request that is no read is put on its connection; False raises NotLeading."""
        self._may_write = may_write

    def may_write(self) -> bool:
        """Whether a request that is no read would be sent now."""
        return self._may_write()

    async def close(self) -> None:
        """Closes every connection; what was under way is cut off."""
        await self.client.close()  # type: ignore[no-untyped-call]

    async def login(self) -> Login:
        """The credentials as they are now; ask again after a 401, because tokens rotate."""
        configuration = self.client.configuration
        header = await self._authorization()
        scheme, _, token = header.partition(" ") if header else ("", "", "")
        return Login(
            server=configuration.host.rstrip("/"),
            ca_file=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme=scheme.capitalize() or None,
            token=token.strip() or None,
            certificate_file=configuration.cert_file,
            key_file=configuration.key_file,
            proxy_url=configuration.proxy,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One request; the decoded JSON of a 2xx answer.

        Args:
            path: absolute, of validated parts.
            what: names the undertaking in error messages, e.g. `patch Deployment shop/recommender`.
            headers: beside those of every request.
        """
        async with self._open(
            method,
            path,
            what=what,
            query=query,
            patience=self._timeout,
            body=body,
            content_type=content_type,
            headers=headers,
        ) as response:
            try:
                data = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise translate_exception(error, what) from error
        try:
            return _decoded(data)
        except ValueError as error:
            raise Unavailable(f"{what}: the answer is not JSON; is {self._host} an API server?") from error

    @asynccontextmanager
    async def stream(
        self, path: str, *, what: str, query: Mapping[str, str], silence: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A long answer as chunks of bytes; TimeoutError inside when nothing came for `silence` seconds."""
        patience = aiohttp.ClientTimeout(total=None, sock_connect=self._connect, sock_read=silence)
        async with self._open("GET", path, what=what, query=query, patience=patience) as response:
            try:
                yield response.content.iter_any()
            finally:
                # A watch has no end: its connection cannot go back to the pool.
                response.close()

    @property
    def _host(self) -> str:
        return str(self.client.configuration.host)

    async def _authorization(self) -> str | None:
        headers: dict[str, str] = {}
        await self.client.update_params_for_auth(headers, [], _AUTH, "", "GET", None)
        return headers.get("authorization")

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str] | None,
        patience: aiohttp.ClientTimeout,
        body: Any = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        # param_serialize does not get the body: it would walk it and read a JSON Patch's nulls its own way.
        try:
            _, url, whole, _, _ = await self.client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={
                    "Accept": "application/json",
                    "Content-Type": content_type,
                    **(headers or {}),
                },
                auth_settings=_AUTH,
            )
            answer = await self.client.call_api(method, url, whole, body=body, _request_timeout=patience)
        except NotLeading as error:
            raise NotLeading(f"{what}: {error}") from None
        except (aiohttp.ClientError, TimeoutError, OSError, ConfigException) as error:
            raise translate_exception(error, what) from error
        response: aiohttp.ClientResponse = answer.response
        try:
            if response.status >= 300:
                raise await _refusal(response, what)
            yield response
        finally:
            response.release()


def _guarded(may_write: Callable[[], bool]) -> type[aiohttp.ClientRequest]:
    """Requests that ask when the connection stands: a process that was frozen while it was opened wakes there."""

    class Guarded(aiohttp.ClientRequest):
        async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
            if self.method != "GET" and not may_write():
                raise NotLeading("not sent, because this replica does not lead")
            return await super().send(conn)

    return Guarded


def _decoded(data: bytes) -> Any:
    """JSON. Raises ValueError."""
    try:
        return from_json(data)  # in little more than half the time that json takes
    except ValueError:
        return json.loads(data)  # which also reads what is nested deeper than any object ought to be


async def _refusal(response: aiohttp.ClientResponse, what: str) -> ClusterError:
    try:
        text = await response.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError, OSError):
        text = ""
    return translate_refusal(response.status, response.headers, text, what)


async def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    total: float = TOTAL_TIMEOUT,
    connect_timeout: float = CONNECT_TIMEOUT,
) -> Connection:
    """A connection to the named cluster; nothing is sent yet.

    Args:
        kubeconfig: path; default `KUBECONFIG`, else the Pod's ServiceAccount.
        context: of the kubeconfig; default its current one.
        total: seconds for a whole request. connect_timeout: seconds for the TCP connection.

    Raises:
        NotConfiguredError: nothing was named, or what was named cannot be used.
    """
    environ = os.environ if environ is None else environ
    path = kubeconfig or environ.get("KUBECONFIG")
    if not path and not environ.get("KUBERNETES_SERVICE_HOST"):
        raise NotConfiguredError(
            "no cluster is named: pass --kubeconfig, set KUBECONFIG, or run in a Pod with a ServiceAccount"
        )
    try:
        client = ApiClient(await _configuration(path, context))
    except (
        ConfigException,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        yaml.YAMLError,
    ) as error:
        source = f"kubeconfig {path}" if path else "the Pod's ServiceAccount"
        raise NotConfiguredError(f"{source} cannot be used: {error}") from error
    return Connection(client, total=total, connect=connect_timeout)


async def _configuration(kubeconfig: str | None, context: str | None) -> Any:
    """The client's Configuration, as the kubeconfig says, or without one the Pod's ServiceAccount."""
    # The class itself caches a default; a fresh one keeps two connections of one process apart.
    configuration = type.__call__(Configuration)
    if kubeconfig:
        loader = await load_kube_config(  # type: ignore[no-untyped-call]
            kubeconfig, context=context, client_configuration=configuration, persist_config=False
        )
        configuration.refresh_api_key_hook = _refresh(loader.load_and_set)
    else:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    configuration.proxy = configuration.proxy or _proxy(configuration.host)
    return configuration


def _proxy(server: str) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY and NO_PROXY say of the API server; a kubeconfig's `proxy-url` wins over it."""
    parts = urlsplit(server)
    proxies = getproxies_environment()
    if not parts.hostname or proxy_bypass(parts.netloc, proxies):
        return None
    return proxies.get(parts.scheme)


def _refresh(load: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """A hook that loads credentials anew, at most once in TOKEN_REFRESH seconds."""
    loaded = time.monotonic()
    lock = asyncio.Lock()

    async def refresh(configuration: Any) -> None:
        nonlocal loaded
        async with lock:
            if time.monotonic() - loaded < TOKEN_REFRESH:
                return
            loaded = time.monotonic()
            await load(configuration)

    return refresh
