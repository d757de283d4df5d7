"""Most of a fleet turns bad at once: the brake holds, also through a crash, says so everywhere, and lets go after a
while."""

from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World
from tests.support.operator import OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

MODELS = [f"model-{number:02}" for number in range(12)]
BRAKED = "model_rollback_fleet_brake_engaged"


def test_a_fleet_that_breaches_at_once_waits_and_is_judged_again(world: World, operators: Operators) -> None:
    quality = world.exporter.gauge("fleet_quality", labels=["model"])
    for model in MODELS:
        quality.labels(model).set(GOOD)
    world.prometheus.scraped(world.exporter)
    world.apply(*(m for model in MODELS for m in _protected(world, model)))
    operator = operators.start(brake={"releaseAfter": "10m"})
    _until_all(world, "modeldeployments", lambda s: s.get("lastVerifiedVersion") == "v12", "to be Verified")
    world.apply(*(systems.deployment("v13", name=model) for model in MODELS))
    _until_all(world, "modeldeployments", lambda s: s.get("currentVersion") == "v13", "to run v13")

    for model in MODELS:
        quality.labels(model).set(BAD)
    _until_all(world, "rollbackpolicies", lambda s: _armed(s) == "FleetBrake", "to show the brake")
    assert operator.metric(BRAKED, source="default") == 1
    world.wait_for_event("FleetBrake")

    operator.kill()
    operator = operators.start(brake={"releaseAfter": "12s"})
    wait_until(
        lambda: operator.metric(BRAKED, source="default"),
        accept=lambda v: v == 1,
        describe="the operator that comes next to hold them, too",
    )
    assert world.rollbacks() == []
    row = world.kubectl("get", "rbpol", MODELS[0], "--no-headers", namespace=world.namespace).split()
    assert row[3] == "FleetBrake"

    for model in MODELS[1:]:
        quality.labels(model).set(GOOD)
    wait_until(
        lambda: world.image(MODELS[0]),
        90,
        accept=lambda image: image.endswith(":v12"),
        describe="the one that is bad still to be rolled back after the brake",
    )
    assert [r["spec"]["policyRef"]["name"] for r in world.rollbacks()] == [MODELS[0]]
    _until_released(operator)


def _until_released(operator: OperatorProcess) -> None:
    wait_until(
        lambda: operator.metric(BRAKED, source="default"),
        accept=lambda v: v == 0,
        describe="the brake to let go",
    )


def _protected(world: World, model: str) -> list[systems.Manifest]:
    trigger = {
        "name": "quality",
        "query": f'fleet_quality{{job="{world.exporter.job}"}}',
        "series": {"model": model},
        "breach": {"operator": "LessThan", "threshold": "0.90"},
    }
    policy = systems.policy(world.namespace, model, modelDeploymentRef={"name": model}, triggers=[trigger])
    return [systems.deployment("v12", name=model), systems.model_deployment(model), policy]


def _armed(status: dict[str, Any]) -> str:
    return next((str(c["reason"]) for c in status.get("conditions", []) if c["type"] == "Armed"), "")


def _until_all(world: World, kind: str, accept: Any, describe: str) -> None:
    def look() -> bool:
        items = world.kubectl.json("get", kind, *MODELS, namespace=world.namespace)["items"]
        return all(accept(i.get("status", {})) for i in items)

    wait_until(look, 120, describe=f"all {kind} {describe}")
