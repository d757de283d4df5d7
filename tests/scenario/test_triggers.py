"""Triggers on a real Prometheus: alerts of the team's own rules, ones that only notify, recoverAt, and warmUp."""

from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import OperatorProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

ALERT = "RecommenderBurnsItsBudget"
BETWEEN = 0.91
"""Above the threshold of 0.90, and not beyond `recoverAt`."""


def _load_the_teams_rule(world: World) -> None:
    """It fires while the gauge `burning` is set."""
    expr = f'model_quality{{metric="burning",namespace="{world.namespace}"}} > 0'
    rule = {"alert": ALERT, "expr": expr, "labels": {"service": world.namespace}}
    world.gauge("burning", 0)
    world.prometheus.rules(
        f"slo-{world.namespace}", [{"name": world.namespace, "interval": "500ms", "rules": [rule]}]
    )
    wait_until(
        lambda: world.prometheus.rule_health(world.namespace),
        accept=lambda health: health == {ALERT: "ok"},
        describe="the rule to be evaluated",
    )


def _wait_for_state(world: World, policy: str, state: str, says: str = "") -> None:
    """Until a policy's only trigger is in that state and says so."""

    def trigger() -> dict[str, Any]:
        return next(iter(world.status("rollbackpolicy", policy).get("triggers", [])), {})

    wait_until(
        trigger,
        60,
        accept=lambda t: t.get("state") == state and says in t["message"],
        describe=f"the trigger of {policy} to be {state}: {says}",
    )


def _told(world: World, reason: str, policy: str) -> list[str]:
    regarding = {"kind": "RollbackPolicy", "name": policy}
    return [e["note"] for e in world.events(reason) if {k: e["regarding"][k] for k in regarding} == regarding]


def test_an_alert_rolls_back_after_warm_up_and_a_notifying_trigger_never_does(
    world: World, protected: World, operator: OperatorProcess, audit: Audit
) -> None:
    _load_the_teams_rule(world)
    alert = {"name": "page", "alert": {"name": ALERT, "labels": {"service": world.namespace}}}
    accuracy = {
        "name": "accuracy",
        "query": systems.QUERY % world.namespace,
        "breach": {"operator": "LessThan", "threshold": "0.90"},
        "recoverAt": "0.93",
        "action": "Notify",
    }
    world.patch("rollbackpolicy", {"triggers": [alert], "guards": {"warmUp": "1h"}})
    world.apply(systems.policy(world.namespace, "telling", triggers=[accuracy]))
    _wait_for_state(world, "recommender", "Healthy", f"alert {ALERT} is not firing")
    world.deploy("v13")
    world.wait_for_record("v13")
    world.wait_for_condition("rollbackpolicy", "Armed", is_("True"), "telling")
    mark = audit.mark()

    world.gauge("burning", 1)
    world.quality(BAD)
    _wait_for_state(world, "recommender", "Settling", "a new version warms up until")
    _it_is_told_and_rolls_nothing_back(world, operator)
    _it_recovers_only_beyond_recover_at(world, operator)
    writes = audit.writes_since(mark, user=world.actor)
    assert [e.subresource for e in writes if e.resource == "rollbackpolicies" and e.name == "telling"] == [
        "status",
        "status",
    ], "one write for the breach, one for its end"
    assert "deployments" not in {e.resource for e in writes}

    world.patch("rollbackpolicy", {"guards": {"warmUp": "0s"}})
    world.wait_for_image("v12")
    (evidence,) = world.rollback()["status"]["evidence"]
    labels = evidence["samples"][0]["labels"]
    assert (evidence["trigger"], evidence["query"]) == ("page", 'ALERTS{alertstate="firing"}')
    assert (labels["alertname"], labels["service"]) == (ALERT, world.namespace)


def _it_is_told_and_rolls_nothing_back(world: World, operator: OperatorProcess) -> None:
    said = world.wait_for_condition("rollbackpolicy", "Breached", is_("True"), "telling")
    assert said["message"] == "accuracy: 0.62 < 0.90; action Notify starts no rollback"
    wait_until(lambda: _told(world, "TriggerBreached", "telling"), describe="an Event TriggerBreached")
    world.wait_for_ticks(operator, 2)
    assert world.rollbacks() == []


def _it_recovers_only_beyond_recover_at(world: World, operator: OperatorProcess) -> None:
    world.quality(BETWEEN)
    world.wait_for_ticks(operator, 2)
    _wait_for_state(world, "telling", "Breached")
    world.quality(GOOD)
    _wait_for_state(world, "telling", "Healthy")
    assert wait_until(
        lambda: _told(world, "TriggerRecovered", "telling"), describe="an Event TriggerRecovered"
    ) == ["accuracy: 0.97 is not < 0.90"]
