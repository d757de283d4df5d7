"""Several metrics sources: one that hangs, one that refuses and one that is not for this namespace hurt no other."""

from functools import partial
from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.gateway import Gateway
from tests.scenario.world import BAD, World, is_
from tests.support.audit import Audit
from tests.support.operator import OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

ERRORS = "model_rollback_query_errors_total"
BLIND = "model_rollback_policies_blind"
EVALUATED = "model_rollback_last_evaluation_timestamp_seconds"


def _policy(world: World, name: str, source: str) -> systems.Manifest:
    """One that is evaluated every second on `source`, while the query gets its answer or not."""
    trigger = {
        "name": "accuracy",
        "query": systems.QUERY % world.namespace,
        "breach": {"operator": "LessThan", "threshold": "0.90"},
        "for": "1h",
    }
    return systems.policy(world.namespace, name, metricsSource=source, triggers=[trigger])


def _blind(operator: OperatorProcess, source: str) -> float:
    return operator.metric(BLIND, source=source)


def _sees_all(operator: OperatorProcess, source: str) -> bool:
    return _blind(operator, source) == 0


def _unavailable(world: World, name: str) -> dict[str, Any]:
    return world.wait_for_condition("rollbackpolicy", "MetricsAvailable", is_("False"), name)


def test_a_source_that_fails_hurts_no_other_and_one_of_somebody_else_is_never_asked(
    world: World, operators: Operators, audit: Audit
) -> None:
    url = world.prometheus.url
    with Gateway(url) as slow, Gateway(url) as failing, Gateway(url) as theirs:
        asked: list[str] = []
        theirs.fail(lambda _method, target: asked.append(target))
        operator = operators.start(
            sources={
                "default": {"url": url},
                "slow": {"url": slow.url, "timeout": "1h"},
                "failing": {"url": failing.url},
                "theirs": {"url": theirs.url, "namespaces": ["payments"]},
            }
        )
        pairs = [("slow-1", "slow"), ("slow-2", "slow"), ("failing", "failing"), ("foreign", "theirs")]
        world.apply(*(_policy(world, name, source) for name, source in pairs))
        world.wait_for_version("v12", verified=True)
        for name in ("slow-1", "slow-2", "failing"):
            world.wait_for_condition("rollbackpolicy", "MetricsAvailable", is_("True"), name)

        _is_told_that_it_is_not_for_its_namespace(world)
        slow.hang()
        failing.fail(lambda _method, _target: 503)
        _blind_policies_are_counted_and_told(world, operator)
        _ticks_go_on(operator, "slow", "failing", "default")
        _the_others_roll_back_meanwhile(world, audit)

        slow.mend()
        failing.mend()
        for name in ("slow-1", "slow-2", "failing"):
            world.wait_for_condition("rollbackpolicy", "MetricsAvailable", is_("True"), name)
        for source in ("slow", "failing"):
            wait_until(partial(_sees_all, operator, source), describe=f"nobody on {source} to be blind")
        assert asked == [], "a source that is not for this namespace"


def _is_told_that_it_is_not_for_its_namespace(world: World) -> None:
    for type_, status in (("Ready", "False"), ("Stalled", "True"), ("Armed", "False")):
        said = world.wait_for_condition("rollbackpolicy", type_, is_(status, "InvalidSpec"), "foreign")
        assert said["message"] == (
            f"metricsSource 'theirs' may not be used in namespace {world.namespace}: "
            "whoever runs the operator must add it to the source's namespaces"
        )


def _blind_policies_are_counted_and_told(world: World, operator: OperatorProcess) -> None:
    said = {name: _unavailable(world, name)["message"] for name in ("slow-1", "slow-2", "failing")}
    assert "did not answer within 0.9 s" in said["slow-1"], "not its own time-out of an hour"
    assert "503" in said["failing"]
    assert any(
        "one other policy on metricsSource slow cannot be measured either" in said[name]
        for name in ("slow-1", "slow-2")
    )
    wait_until(lambda: _blind(operator, "slow") == 2, describe="two blind policies on slow")
    assert (_blind(operator, "failing"), _blind(operator, "default")) == (1, 0)
    assert operator.metric(ERRORS, kind="timeout", source="slow") >= 1
    assert operator.metric(ERRORS, kind="unavailable", source="failing") >= 1


def _ticks_go_on(operator: OperatorProcess, *sources: str) -> None:
    """Each source has ticks after this moment, those that hang too."""
    for source in sources:
        wanted = operator.metric(EVALUATED, source=source) + 2
        wait_until(partial(_has_ticked, operator, source, wanted), 60, describe=f"two more ticks on {source}")


def _has_ticked(operator: OperatorProcess, source: str, wanted: float) -> bool:
    return operator.metric(EVALUATED, source=source) >= wanted


def _the_others_roll_back_meanwhile(world: World, audit: Audit) -> None:
    world.deploy("v13")
    world.wait_for_version("v13")
    mark = audit.mark()
    world.quality(BAD)
    world.wait_for_image("v12")
    assert world.rollback()["spec"]["policyRef"]["name"] == "recommender"
    written = {e.name for e in audit.writes_since(mark, user=world.actor) if e.resource == "rollbackpolicies"}
    assert "foreign" not in written
