"""SIGTERM at any moment: the operator ends with code 0, nothing is half, and the next one goes on."""

import pytest

from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def test_sigterm_at_many_moments_of_one_rollback(world: World, operators: Operators, audit: Audit) -> None:
    mark = audit.mark()
    starting = operators.start(wait=False)
    wait_until(lambda: "operator started" in starting.log.read_text(), describe="the first log line")
    assert starting.stop() == 0, "as soon as it says that it has started"

    operator = operators.start()
    world.wait_for_version("v12", verified=True)
    assert operator.stop() == 0, "while it rests"

    operator = operators.start()
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    wait_until(world.rollbacks, 60, describe="a Rollback")
    assert operator.stop() == 0, "when the Rollback has just been created"

    operator = operators.start()
    world.wait_for_image("v12")
    assert operator.stop() == 0, "when the patch has just been written"

    operator = operators.start()
    world.wait_for_rollback("Reverted", is_("True"))
    world.quality(GOOD)
    assert operator.stop() == 0, "during validation"

    operators.start()
    done = world.wait_for_result()
    assert done["status"]["result"] == "Succeeded"
    assert done["status"]["steps"][0]["before"] != done["status"]["steps"][0]["after"]
    writes = [e for e in audit.writes_since(mark, user=world.actor) if e.resource == "deployments"]
    # Whoever ends in the midst of a request leaves a 504 in the log; it is asked again, and goes through once.
    assert [e.verb for e in writes if e.code != 504] == ["patch"]
    assert writes[-1].code == 200
