"""A clock that runs outlives the process: nothing was written while nothing changed, so it is rebuilt from history."""

import pytest

from tests.scenario.systems import policy
from tests.scenario.world import BAD, World
from tests.support.operator import OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def test_a_clock_that_was_running_goes_on_after_a_crash(
    protected: World, operator: OperatorProcess, operators: Operators
) -> None:
    triggers = policy(protected.namespace)["spec"]["triggers"]
    protected.patch("rollbackpolicy", {"triggers": [{**triggers[0], "for": "15s"}]})
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)

    def trigger() -> dict[str, str]:
        return next(iter(protected.status("rollbackpolicy").get("triggers", [])), {})

    pending = wait_until(trigger, 60, accept=lambda t: t.get("state") == "Pending", describe="Pending")
    protected.wait_for_ticks(operator, 3)
    assert not protected.rollbacks(), "its time is not over"
    operator.kill()
    operators.start()

    protected.wait_for_image("v12")
    (evidence,) = protected.rollback()["status"]["evidence"]
    assert evidence["breachingSince"] == pending["breachingSince"], "the bad time before the crash counts"
