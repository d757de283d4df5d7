"""Asks a source once, and writes what Prometheus would answer."""

from datetime import UTC, datetime
from typing import Any

import pytest

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer

AT = datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)
PATH = "/api/v1/query"


def success(result: Any, result_type: str = "vector", **beside: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": result_type, "result": result}, **beside}


def series(value: Any, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [AT.timestamp(), value]}


async def ask(url: str, query: str = "up", **settings: Any) -> Answer:
    source = PrometheusSource(SourceConfig(url, **{"timeout": 5.0, **settings}))
    try:
        return await source.query(query, AT)
    finally:
        source.close()


async def refused(url: str, query: str = "up", **settings: Any) -> MetricsError:
    with pytest.raises(MetricsError) as caught:
        await ask(url, query, **settings)
    return caught.value
