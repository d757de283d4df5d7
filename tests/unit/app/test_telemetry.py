"""Every metric that an alert names is exported, and every alert has its runbook."""

import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from model_rollback import telemetry

ROOT = Path(__file__).resolve().parents[3]
RUNBOOKS = ROOT / "docs/runbooks"
ALERTS = [
    rule
    for group in yaml.safe_load((RUNBOOKS / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
PAGE = (ROOT / "docs/reference/metrics.md").read_text()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda a: a["alert"])
def test_an_alert_names_metrics_that_exist_and_has_a_runbook(alert) -> None:
    promql_parser.parse(alert["expr"])
    names = set(re.findall(r"model_rollback_\w+", alert["expr"]))
    assert names
    for name in names:
        assert f"| `{name}` |" in PAGE
    assert f"## {alert['alert']}\n" in (RUNBOOKS / "README.md").read_text()


def test_what_is_counted_when_scraped_is_exported() -> None:
    before = telemetry.COUNTED.take
    telemetry.COUNTED.take = lambda: telemetry.Census(
        {"Healthy": 2}, {"Armed": 1, "NoSafeTarget": 1}, {"NoSafeTarget": 1}
    )
    try:
        text = generate_latest(telemetry.REGISTRY).decode()
    finally:
        telemetry.COUNTED.take = before
    assert 'model_rollback_triggers{state="Healthy"} 2.0' in text
    assert 'model_rollback_policies{armed="NoSafeTarget"} 1.0' in text
    assert 'model_rollback_breaches_unanswered{gate="NoSafeTarget"} 1.0' in text
