"""Ticks fall just after the samples: on a real Prometheus, with the operator's own adapter."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from model_rollback.adapters.clock import SystemClock
from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.engine.phasing import Phasing
from model_rollback.engine.scheduler import ask
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

INTERVAL = timedelta(seconds=2)


def test_ticks_are_locked_to_just_after_the_samples(prometheus: Prometheus) -> None:
    exporter = prometheus.exporter("phase", interval="2s")
    exporter.gauge("phase_quality").set(0.97)
    prometheus.scraped(exporter)
    taken = wait_until(
        lambda: prometheus.value("timestamp(phase_quality)"), describe="the time of the newest sample"
    )
    offset = asyncio.run(_learn(prometheus.url))
    phase = timedelta(seconds=taken) % INTERVAL
    behind = (offset - phase) % INTERVAL
    assert timedelta(milliseconds=5) <= behind <= timedelta(milliseconds=250), "just after the samples"


async def _learn(url: str) -> timedelta:
    source = PrometheusSource(SourceConfig(url=url))
    moved = asyncio.Event()
    phasing = Phasing(
        lambda group, question, tick: ask({"default": source}, group[0], question, tick),
        SystemClock(),
        moved.set,
    )
    group = ("default", INTERVAL)
    try:
        for _ in range(4):
            phasing.ticked(group, datetime.now(UTC), ["phase_quality"])
            await phasing.settled(group)
        assert phasing.lock(group).locked
        return phasing.lock(group).offset
    finally:
        await phasing.stop()
        source.close()
