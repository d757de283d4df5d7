"""The operator's own HTTP endpoint: `/healthz`, `/readyz` and `/metrics`."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_log = structlog.get_logger(__name__)

Verdict = tuple[bool, Mapping[str, str]]
"""Whether all is well, and what each check says."""

Check = Callable[[], Verdict | Awaitable[Verdict]]

CHECK_TIMEOUT = 2.0
"""Seconds; below the usual `timeoutSeconds` of a kubelet's probe a hanging check is no answer at all."""


class Endpoint:
    """Serves until stopped."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        healthy: Check,
        ready: Check,
        registry: CollectorRegistry,
        check_timeout: float = CHECK_TIMEOUT,
    ) -> None:
        """`host` empty: all addresses, IPv4 and IPv6. `port` 0: a free one, see `port` after `start`."""
        self._host, self._wanted_port = host or None, port
        self._registry = registry
        self._check_timeout = check_timeout
        application = web.Application()
        application.router.add_get("/healthz", self._check("healthz", healthy))
        application.router.add_get("/readyz", self._check("readyz", ready))
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    @property
    def port(self) -> int:
        """The port that is listened on. Raises RuntimeError before `start`."""
        if not self._runner.addresses:
            raise RuntimeError("the endpoint has not been started")
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Listens. Raises OSError when the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._wanted_port).start()
        except OSError:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Closes the port; answers under way have a second."""
        await self._runner.cleanup()

    def _check(self, name: str, check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(_: web.Request) -> web.Response:
            ok, checks = await self._verdict(name, check)
            body = {"status": "ok" if ok else "failed", "checks": dict(checks)}
            return web.json_response(body, status=200 if ok else 503)

        return handle

    async def _verdict(self, name: str, check: Check) -> Verdict:
        try:
            verdict = check()
            if inspect.isawaitable(verdict):
                verdict = await asyncio.wait_for(verdict, self._check_timeout)
        except TimeoutError:
            return False, {name: f"no answer within {self._check_timeout:g} s"}
        except Exception as error:  # noqa: BLE001 - a broken check is a failed check
            _log.warning("health check failed", check=name, error=repr(error))
            return False, {name: f"{type(error).__name__}: {error}"}
        return verdict

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})
