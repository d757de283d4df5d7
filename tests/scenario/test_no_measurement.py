"""What could not be measured is not bad: nothing goes back, somebody is told, and it mends itself."""

from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.gateway import Gateway
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import OperatorProcess, Operators
from tests.support.prometheus_process import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def _trigger(query: str) -> dict[str, Any]:
    """Fires at the first bad answer."""
    return {"name": "fast", "query": query, "breach": {"operator": "LessThan", "threshold": "0.90"}}


def test_no_data_nan_and_failing_sources_roll_nothing_back_and_recover_by_themselves(
    world: World, operators: Operators, audit: Audit
) -> None:
    port = free_port()
    url = world.prometheus.url
    with Gateway(url) as failing:
        failing.fail(lambda _method, _target: 500)
        sources = {
            "default": {"url": url, "timeout": "2s"},
            "unreachable": {"url": f"http://127.0.0.1:{port}", "timeout": "2s"},
            "failing": {"url": failing.url, "timeout": "2s"},
        }
        operator = operators.start(sources=sources)
        world.wait_for_version("v12", verified=True)
        world.deploy("v13")
        world.wait_for_version("v13")
        mark = audit.mark()
        world.quality(float("nan"), "nan")
        query = f'model_quality{{metric="%s",namespace="{world.namespace}"}}'
        blind = {
            "no-data": ("default", query % "absent", "returns no series"),
            "nan": ("default", query % "nan", "nan, which measures nothing"),
            "unreachable": ("unreachable", query % "accuracy", "could not measure"),
            "failing": ("failing", query % "accuracy", "500"),
        }
        for name, (source, text, _) in blind.items():
            world.apply(
                systems.policy(world.namespace, name, metricsSource=source, triggers=[_trigger(text)])
            )
        for name, (_, _, said) in blind.items():
            condition = world.wait_for_condition(
                "rollbackpolicy", "MetricsAvailable", is_("False", "MetricsUnavailable"), name
            )
            assert said in condition["message"]
            assert world.condition("rollbackpolicy", "Breached", name)["status"] == "False"
        assert world.condition("rollbackpolicy", "MetricsAvailable")["status"] == "True", "hurt by others"
        world.wait_for_ticks(operator, 3, groups=3)
        assert world.rollbacks() == []
        assert "deployments" not in {e.resource for e in audit.writes_since(mark, user=world.actor)}

        failing.mend()
        with Gateway(url, port=port):
            world.quality(GOOD, "nan")
            world.quality(GOOD, "absent")
            for name in blind:
                world.wait_for_condition("rollbackpolicy", "MetricsAvailable", is_("True"), name)
            wait_until(
                lambda: {e["regarding"]["name"] for e in world.events("MetricsAvailable")},
                60,
                accept=blind.keys().__le__,
                describe="Events of all that can be measured again",
            )
            world.quality(BAD, "absent")
            world.wait_for_image("v12")
            assert world.rollback()["spec"]["policyRef"]["name"] == "no-data"


def test_a_trigger_that_cannot_be_measured_in_between_goes_on_where_it_was(
    protected: World, operator: OperatorProcess
) -> None:
    """The clock of `for` is held without data: it neither runs on nor starts anew."""
    trigger = protected.get("rollbackpolicy")["spec"]["triggers"][0]
    protected.patch("rollbackpolicy", {"triggers": [{**trigger, "for": "3s"}]})
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    protected.wait_for_condition("rollbackpolicy", "Breached", is_("False"))
    protected.quality(float("nan"))
    protected.wait_for_condition("rollbackpolicy", "MetricsAvailable", is_("False"))
    protected.wait_for_ticks(operator, 5)
    assert protected.rollbacks() == []
    protected.quality(BAD)
    protected.wait_for_image("v12")
