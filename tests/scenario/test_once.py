"""One breach, one Rollback; and a pause between two."""

import pytest

from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.operator import OperatorProcess, Operators

pytestmark = pytest.mark.cluster


def test_cooldown_holds_the_next_rollback_back_and_then_lets_it_go(
    protected: World, operator: OperatorProcess
) -> None:
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    protected.wait_for_image("v12")
    protected.quality(GOOD)
    protected.wait_for_result()
    protected.deploy("v14")
    protected.wait_for_version("v14")
    protected.quality(BAD)

    protected.wait_for_condition("rollbackpolicy", "Breached", is_("True"))
    armed = protected.wait_for_condition("rollbackpolicy", "Armed", is_("False", "CooldownActive"))
    assert "cooldown of 30m ends at" in armed["message"]
    protected.wait_for_ticks(operator, 3)
    assert len(protected.rollbacks()) == 1
    assert protected.image().endswith(":v14")

    protected.patch("rollbackpolicy", {"guards": {"cooldown": "0s"}})
    protected.wait_for_image("v12")
    assert [r["spec"]["fromVersion"] for r in protected.rollbacks()] == ["v13", "v14"]


def test_a_breach_that_was_answered_starts_nothing_more_even_after_a_crash(
    protected: World, operator: OperatorProcess, operators: Operators
) -> None:
    protected.patch(
        "rollbackpolicy", {"guards": {"cooldown": "0s"}, "validation": {"settle": "10m", "duration": "2s"}}
    )
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    protected.wait_for_rollback("Reverted", is_("True"))
    protected.say("Abort")
    done = protected.wait_for_result()
    assert done["status"]["result"] == "Aborted"
    protected.wait_for_image("v13")
    assert not protected.status().get("quarantined"), "what was put back is no longer kept out"

    armed = protected.wait_for_condition("rollbackpolicy", "Armed", is_("False", "BreachConsumed"))
    assert done["metadata"]["name"] in armed["message"]
    protected.wait_for_ticks(operator, 3)
    operator.kill()
    operator = operators.start()
    protected.wait_for_ticks(operator, 5)
    assert len(protected.rollbacks()) == 1
    assert protected.condition("rollbackpolicy", "Armed")["reason"] == "BreachConsumed"

    protected.patch("rollbackpolicy", {"validation": {"settle": "1s"}})
    protected.quality(GOOD)
    protected.wait_for_condition("rollbackpolicy", "Armed", is_("True"))
    protected.quality(BAD)
    protected.wait_for_image("v12")
    assert len(protected.rollbacks()) == 2
