"""Whoever watches the operator: its metrics as Prometheus scrapes them, and the shipped alerts on them."""

import re
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from tests.scenario import systems
from tests.scenario.world import World
from tests.support import places
from tests.support.operator import OperatorProcess
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

DOCS: Path = places.ROOT / "docs"
RULES = yaml.safe_load((DOCS / "runbooks/alerts.yaml").read_text())["groups"]
PAGE = (DOCS / "reference/metrics.md").read_text()


def test_every_metric_of_the_page_is_scraped_and_the_shipped_alerts_work_on_them(
    protected: World, operator: OperatorProcess
) -> None:
    prometheus, job = protected.prometheus, f"operator-{protected.namespace}"
    trigger = {
        "name": "blind",
        "query": "no_such_metric",
        "breach": {"operator": "LessThan", "threshold": "1"},
    }
    protected.apply(systems.policy(protected.namespace, "blind", triggers=[trigger]))
    prometheus.scrape(job, urlsplit(operator.url).netloc)
    groups = [
        {**group, "name": f"{group['name']}-{protected.namespace}", "interval": "500ms"} for group in RULES
    ]
    prometheus.rules(f"alerts-{protected.namespace}", groups)

    prometheus.wait_for(f'model_rollback_policies_blind{{job="{job}",source="default"}} == 1')
    prometheus.wait_for(f'model_rollback_triggers{{job="{job}",state="NoData"}} == 1')
    prometheus.wait_for(f'sum(model_rollback_policies{{job="{job}"}}) == 2')
    prometheus.wait_for(f'model_rollback_evaluations_total{{job="{job}"}} > 0')
    prometheus.wait_for(f'model_rollback_leader{{job="{job}"}} == 1')
    _every_documented_family_is_there(operator)

    prometheus.wait_for('ALERTS{alertname="ModelRollbackBlind",source="default"}')
    for group in groups:
        wait_until(partial(_are_evaluated, prometheus, group["name"]), describe="every alert to be evaluated")
        assert prometheus.rule_health(group["name"]).keys() == {r["alert"] for r in group["rules"]}


def _are_evaluated(prometheus: Prometheus, group: str) -> bool:
    return set(prometheus.rule_health(group).values()) == {"ok"}


def _every_documented_family_is_there(operator: OperatorProcess) -> None:
    served = requests.get(f"{operator.url}/metrics", timeout=5).text
    documented = re.findall(r"^\| `(model_rollback_\w+)` \|", PAGE, re.MULTILINE)
    families = re.findall(r"^# TYPE (model_rollback_\w+) ", served, re.MULTILINE)
    assert sorted(documented) == sorted(name for name in families if not name.endswith("_created"))
