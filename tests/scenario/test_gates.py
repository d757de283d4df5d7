"""What keeps a rollback from starting, seen in `Armed` and in `kubectl get rbpol` before and during a breach."""

from typing import Any

import pytest

from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.operator import OperatorProcess

pytestmark = pytest.mark.cluster

ALWAYS = [{"schedule": "* * * * *", "duration": "10m", "timeZone": "Europe/London"}]
ARGO = "argocd.argoproj.io/tracking-id"


def _blocked(world: World, reason: str, words: str) -> None:
    """Waits until that gate blocks in those words."""
    blocks = is_("False", reason)
    world.wait_for_condition("rollbackpolicy", "Armed", lambda c: blocks(c) and words in c["message"])


def _policy(world: World, **spec: Any) -> None:
    world.patch("rollbackpolicy", spec)


def _scale(world: World, replicas: int) -> None:
    world.kubectl("scale", "deployment/recommender", f"--replicas={replicas}", namespace=world.namespace)


def test_each_gate_says_why_and_lets_go(protected: World, operator: OperatorProcess) -> None:
    _blocked(protected, "AlreadyAtTarget", "v12, the only Verified version to go back to, is what runs now")
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.wait_for_condition("rollbackpolicy", "Armed", is_("True"))

    protected.patch("deployment", {"paused": True})
    _blocked(protected, "TargetPaused", "model is paused")
    assert "TargetPaused" in protected.kubectl("get", "rbpol", namespace=protected.namespace)
    assert operator.metric("model_rollback_policies", armed="TargetPaused") == 1
    protected.patch("deployment", {"paused": False})
    _scale(protected, 0)
    _blocked(protected, "TargetScaledToZero", "model runs no replicas")
    _scale(protected, 2)

    _policy(protected, guards={"freezeWindows": ALWAYS})
    _blocked(protected, "FrozenWindow", "(Europe/London) is open until")
    _policy(protected, guards={"freezeWindows": []}, target={"requires": ["bias-audit"]})
    _blocked(protected, "NoSafeTarget", "v12: carries no attestation bias-audit")
    _policy(protected, target={"requires": [], "maxAge": "1s"})
    _blocked(protected, "NoSafeTarget", "longer ago than maxAge 1s")

    _policy(protected, target={"maxAge": None}, ownership={"onExternalManager": "Refuse"})
    tracked = f"{ARGO}=shop:apps/Deployment:{protected.namespace}/recommender"
    protected.kubectl("annotate", "deployment", "recommender", tracked, namespace=protected.namespace)
    _blocked(protected, "ExternallyManaged", "model by Argo CD application shop")
    protected.wait_for_condition("modeldeployment", "ExternallyManaged", is_("True"))
    assert protected.wait_for_event("ExternallyManaged")[0]["type"] == "Warning"

    protected.quality(BAD)
    protected.wait_for_condition("rollbackpolicy", "Breached", is_("True"))
    assert protected.rollbacks() == []
    _policy(
        protected,
        ownership={"onExternalManager": "Warn"},
        guards={"cooldown": "0s", "maxRollbacks": {"count": 1}},
    )
    protected.wait_for_image("v12")
    protected.quality(GOOD)
    protected.wait_for_result()

    spent = "1 rollbacks within 24h are allowed and done"
    _blocked(protected, "RollbackBudgetExhausted", spent)
    protected.delete("rollback", protected.rollback()["metadata"]["name"])
    _blocked(protected, "RollbackBudgetExhausted", spent)


def _lose(world: World, version: str) -> None:
    """Somebody deletes what keeps that version."""
    [kept] = [v["revision"] for v in world.status()["history"] if v["version"] == version]
    world.delete("controllerrevision", kept)


def test_a_version_whose_kept_values_are_gone_gives_way_to_the_next_and_the_last_one_blocks(
    protected: World,
) -> None:
    protected.deploy("v13")
    protected.wait_for_version("v13", verified=True)
    protected.deploy("v14")
    protected.wait_for_version("v14")
    _lose(protected, "v13")
    protected.quality(BAD)
    protected.wait_for_image("v12")
    protected.quality(GOOD)
    assert protected.wait_for_result()["status"]["toVersion"] == "v12"

    protected.wait_for_version("v12", verified=True)
    protected.deploy("v15")
    protected.wait_for_version("v15")
    _lose(protected, "v12")
    _policy(protected, guards={"cooldown": "0s"}, target={"strategy": "Pinned", "version": "v12"})
    protected.quality(BAD)
    _blocked(protected, "ArtifactMissing", "its kept values are gone")
    assert len(protected.rollbacks()) == 1


def test_a_schedule_or_a_zone_that_is_none_is_told_with_its_field(protected: World) -> None:
    never = {"schedule": "0 0 30 2 *", "duration": "1h"}
    _policy(protected, guards={"freezeWindows": [never]})

    stalled = protected.wait_for_condition("rollbackpolicy", "Stalled", is_("True", "InvalidSpec"))

    assert "guards.freezeWindows.0.schedule" in stalled["message"]
    assert "'0 0 30 2 *'" in stalled["message"]
