"""The operator's own endpoint over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from model_rollback.adapters.http import Check, Endpoint

Verdict = tuple[bool, Mapping[str, str]]


def well() -> Verdict:
    return True, {"loop": "ok"}


async def unwell() -> Verdict:
    return False, {"watch": "no contact for 95 s"}


@asynccontextmanager
async def serving(healthy: Check, ready: Check) -> AsyncIterator[str]:
    registry = CollectorRegistry()
    Counter("rollbacks_total", "Help.", registry=registry).inc(3)
    endpoint = Endpoint("127.0.0.1", 0, healthy=healthy, ready=ready, registry=registry, check_timeout=0.2)
    await endpoint.start()
    try:
        yield f"http://127.0.0.1:{endpoint.port}"
    finally:
        await endpoint.stop()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_a_check_that_passes_is_200_and_one_that_fails_503():
    async with serving(well, unwell) as url:
        assert await get(f"{url}/healthz") == (200, '{"status": "ok", "checks": {"loop": "ok"}}')
        assert await get(f"{url}/readyz") == (
            503,
            '{"status": "failed", "checks": {"watch": "no contact for 95 s"}}',
        )


async def test_a_check_that_raises_is_a_failed_check():
    """Guard: the catch in `_verdict`; else a kubelet reads a 500 with a stack trace."""

    def broken() -> Verdict:
        raise RuntimeError("no store")

    async with serving(broken, well) as url:
        status, body = await get(f"{url}/healthz")
        assert (status, "RuntimeError: no store" in body) == (503, True)
        assert (await get(f"{url}/readyz"))[0] == 200


async def test_a_check_that_hangs_is_a_failed_check():
    """Guard: the time-out of `_verdict`."""

    async def hanging() -> Verdict:
        await asyncio.Event().wait()
        return True, {}

    async with serving(hanging, well) as url:
        status, body = await get(f"{url}/healthz")
        assert (status, "no answer within 0.2 s" in body) == (503, True)


async def test_metrics_are_served_from_the_given_registry():
    async with serving(well, well) as url:
        status, body = await get(f"{url}/metrics")
        assert (status, "rollbacks_total 3.0" in body) == (200, True)


async def test_a_stopped_endpoint_frees_its_port():
    async with serving(well, well) as url:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"{url}/healthz")


async def test_a_taken_port_is_an_error_at_start():
    async with serving(well, well) as url:
        second = Endpoint(
            "127.0.0.1", int(url.rpartition(":")[2]), healthy=well, ready=well, registry=CollectorRegistry()
        )
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
