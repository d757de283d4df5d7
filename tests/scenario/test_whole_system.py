"""A system of several components goes back in order, side by side where the order allows, and can be undone."""

from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.commands import CommandError
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

COMPONENTS = ("features", "config", "recommender")


def _system() -> systems.Manifest:
    manifest = systems.model_deployment()
    target = {"apiVersion": "apps/v1", "kind": "Deployment"}
    manifest["spec"]["components"] = [
        {
            "name": "model",
            "targetRef": {**target, "name": "recommender"},
            "dependsOn": ["features", "config"],
        },
        {"name": "features", "type": "Pipeline", "targetRef": {**target, "name": "features"}},
        {"name": "config", "type": "Config", "targetRef": {**target, "name": "config"}},
    ]
    return manifest


def _deploy(world: World, version: str, **options: Any) -> None:
    world.apply(*(systems.deployment(version, name=name, **options) for name in COMPONENTS))


def _images(world: World) -> set[str]:
    return {world.image(name).rsplit(":", 1)[1] for name in COMPONENTS}


def _steps(world: World) -> dict[str, Any]:
    return {s["name"]: s for s in world.rollback()["status"]["steps"]}


def test_components_go_back_in_order_side_by_side_and_come_forth_again_by_undo(
    world: World, operators: Operators
) -> None:
    _deploy(world, "v12", annotations={"sim/ready-after": "1s"})
    world.apply(_system())
    operators.start()
    world.wait_for_version("v12", verified=True)
    _deploy(world, "v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    world.wait_for_image("v12")
    world.quality(GOOD)
    done = world.wait_for_result()

    assert done["status"]["result"] == "Succeeded"
    steps = _steps(world)
    features, config, model = (steps[f"revert-{c}"] for c in ("features", "config", "model"))
    assert features["startedAt"] < config["finishedAt"]
    assert config["startedAt"] < features["finishedAt"]
    assert model["startedAt"] >= max(features["finishedAt"], config["finishedAt"])
    assert model["dependsOn"] == ["revert-features", "revert-config"]
    assert _images(world) == {"v12"}
    assert [q["version"] for q in world.status()["quarantined"]] == ["v13"]
    assert "all that can be asked of one that succeeded is Undo" in world.refusal("Abort")

    episode = world.status()["episode"]
    world.say("Undo")
    wait_until(
        world.rollback, accept=lambda r: r["status"].get("result") == "Undone", describe="the undo to be done"
    )
    assert _images(world) == {"v13"}
    wait_until(world.status, accept=lambda s: not s.get("activeRollback"), describe="the lock to be cleared")
    status = world.status()
    assert (status["currentVersion"], status["episode"]) == ("v13", episode + 1)
    assert not status.get("quarantined")
    assert [(r["result"]) for r in status["lastRollbacks"]] == ["Undone"]
    restores = {name: s for name, s in _steps(world).items() if s["action"] == "Restore"}
    assert restores["restore-features"]["startedAt"] >= restores["restore-model"]["finishedAt"]
    world.wait_for_event("RollbackUndone")
    world.wait_for_event("QuarantineReleased")
    again = {"intent": "Undo", "intentAt": "2026-01-05T10:00:00Z"}
    with pytest.raises(CommandError, match="Undo is for a Rollback with result Succeeded"):
        world.patch("rollback", again, world.rollback()["metadata"]["name"])


def test_a_target_that_does_not_help_is_given_up_for_the_next_until_none_is_left(protected: World) -> None:
    """v12 and v11 are Verified; the metric stays bad whatever is put back, until a person mends its cause."""
    for version in ("v13", "v14"):
        protected.deploy(version)
        protected.wait_for_version(version, verified=version == "v13")
    protected.quality(BAD)

    halted = protected.wait_for_rollback("Halted", is_("True", "ValidationFailed"), timeout=90)
    assert "no other target is left" in halted["message"]
    assert protected.image() == systems.image_of("v12")
    status = protected.rollback()["status"]
    assert [(t["version"], t["attempt"]) for t in status["targets"]] == [("v13", 1), ("v12", 2)]
    assert [s["name"] for s in status["steps"]] == [
        "revert-model",
        "validate",
        "revert-model-2",
        "validate-2",
    ]
    assert {q["version"] for q in protected.status()["quarantined"]} == {"v14", "v13"}
    protected.wait_for_event("NextTarget")

    protected.quality(GOOD)
    protected.say("Resume")
    done = protected.wait_for_result()
    assert (done["status"]["result"], done["status"]["toVersion"]) == ("Succeeded", "v12")
