"""Alert triggers on a real Prometheus with rules of its own."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import yaml

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.api.v1alpha1.trigger import TriggerSpec
from model_rollback.core.measure import measure
from model_rollback.core.presets import resolve_trigger
from model_rollback.core.questions import questions_of
from model_rollback.engine.scheduler import ask_all
from tests.support import places
from tests.support.prometheus import Prometheus
from tests.support.prometheus_process import running_prometheus

pytestmark = pytest.mark.cluster

RULES = {
    "groups": [
        {
            "name": "slo",
            "interval": "1s",
            "rules": [
                {"alert": "Burning", "expr": "vector(1)", "labels": {"service": "shop"}},
                {"alert": "Quiet", "expr": "vector(0) > 1"},
                {"alert": "Broken", "expr": 'label_replace(pair, "side", "x", "", "") > 0'},
            ],
        }
    ]
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has evaluated RULES, one of which fails."""
    folder: Path = tmp_path_factory.mktemp("alerts")
    with running_prometheus(places.binaries() / "prometheus", folder) as (address, configuration):
        rules = folder / "rules.yaml"
        rules.write_text(yaml.safe_dump(RULES))
        client = Prometheus(address, configuration)
        for side in ("left", "right"):
            client.backfill("pair", {"side": side}, [(time.time() + n, 1.0) for n in range(-1, 60, 5)])
        configuration.write_text(configuration.read_text() + f"rule_files: [{rules}]\n")
        assert requests.post(f"{address}/-/reload", timeout=30).ok
        client.wait_for('ALERTS{alertname="Burning",alertstate="firing"}')
        client.close()
        yield address


@pytest.mark.parametrize(
    ("alert", "verdict", "says"),
    [
        ({"name": "Burning"}, "Breaching", "alert Burning is firing"),
        ({"name": "Burning", "labels": {"service": "shop"}}, "Breaching", "alert Burning is firing"),
        ({"name": "Burning", "labels": {"service": "bank"}}, "Healthy", "alert Burning is not firing"),
        ({"name": "Quiet"}, "Healthy", "alert Quiet is not firing"),
        ({"name": "Broken"}, "NoData", "is not evaluated: its health is err"),
        ({"name": "Absent"}, "NoData", "the metrics source has no alerting rule Absent"),
    ],
    ids=["fires", "fires with its label", "fires for others", "quiet", "its rule fails", "no such rule"],
)
async def test_what_an_alert_says(url: str, alert: dict[str, object], verdict: str, says: str) -> None:
    trigger = resolve_trigger(TriggerSpec.model_validate({"name": "slo", "alert": alert}))
    source = PrometheusSource(SourceConfig(url))
    questions, now = questions_of(trigger), datetime.now(UTC)
    try:
        answers = await ask_all({"default": source}, "default", questions, now)
    finally:
        source.close()

    measured = measure(trigger, questions, answers, now=now)

    assert measured.verdict.value == verdict
    assert says in measured.message
