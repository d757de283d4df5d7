"""What is remembered outlives the process: nothing was written while nothing changed, so it is rebuilt from history."""

import time
from typing import Any

import pytest

from tests.scenario.gateway import Gateway
from tests.scenario.systems import policy
from tests.scenario.world import BAD, GOOD, World
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def test_a_clock_that_was_held_goes_on_after_a_crash_in_an_outage(world: World, operators: Operators) -> None:
    """Bad, then unmeasured, then a crash, and the source cannot be asked as the next process starts."""
    with Gateway(world.prometheus.url) as line:
        sources = {"default": {"url": line.url, "timeout": "2s"}}
        operator = operators.start(sources=sources)
        world.wait_for_version("v12", verified=True)
        triggers = policy(world.namespace)["spec"]["triggers"]
        world.patch("rollbackpolicy", {"triggers": [{**triggers[0], "for": "1h"}]})
        world.deploy("v13")
        world.wait_for_version("v13")
        world.quality(BAD)
        pending = _wait_for_state(world, "Pending")
        world.wait_for_ticks(operator, 3)
        world.quality(float("nan"))
        held = _wait_for_state(world, "NoData")
        assert held["pendingSince"] == pending["breachingSince"]

        operator.kill()
        line.cut()
        operators.start(sources=sources)
        failing = _wait_for_state(world, "Error")
        assert failing["pendingSince"] == pending["breachingSince"], "it can still be rebuilt"
        line.mend()
        _wait_for_state(world, "NoData")
        world.quality(BAD)

        again = _wait_for_state(world, "Pending")
        assert again["breachingSince"] == pending["breachingSince"], "the bad time before the crash counts"
        assert not again["message"].startswith("0.62 < 0.90, for 0s")


def test_one_bad_tick_answers_no_breach_that_ended_while_no_operator_looked(
    world: World, operators: Operators
) -> None:
    operator = operators.start()
    world.wait_for_version("v12", verified=True)
    triggers = policy(world.namespace)["spec"]["triggers"]
    world.patch("rollbackpolicy", {"mode": "Suspended"})
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    breached = _wait_for_state(world, "Breached")
    assert "consumedBy" not in breached

    operator.kill()
    world.quality(GOOD)
    time.sleep(3)  # for a few samples of it
    world.patch("rollbackpolicy", {"mode": "Enforce", "triggers": [{**triggers[0], "for": "1h"}]})
    world.quality(BAD)
    operators.start()

    pending = _wait_for_state(world, "Pending")
    assert pending["breachingSince"] > breached["breachingSince"], (
        "another breach, of which the time has just begun"
    )
    assert world.rollbacks() == []


def _wait_for_state(world: World, state: str) -> dict[str, Any]:
    def trigger() -> dict[str, Any]:
        return next(iter(world.status("rollbackpolicy").get("triggers", [])), {})

    return wait_until(trigger, 60, accept=lambda t: t.get("state") == state, describe=state)
