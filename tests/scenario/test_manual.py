"""A person rolls back: by the policy's target or to a version that she names, in turn, and never to a bad one."""

from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import World
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def _complete(status: Any) -> str:
    return next(str(c["message"]) for c in status["conditions"] if c["type"] == "Complete")


def test_what_a_person_asks_for_is_done_in_turn_or_denied_with_the_reason(protected: World) -> None:
    world = protected
    world.deploy("v13")
    world.wait_for_record("v13")

    world.apply(systems.manual("to-nothing", targetVersion="v99"))
    denied = world.wait_for_end("to-nothing")
    assert (denied["result"], denied.get("steps", [])) == ("Denied", [])
    assert "v99: neither recorded nor declared" in _complete(denied)
    assert not world.status().get("lastRollbacks"), "what was denied starts no cooldown"
    world.apply(systems.manual("to-itself", targetVersion="v13"))
    assert "it is what runs now" in _complete(world.wait_for_end("to-itself"))

    world.patch("rollbackpolicy", {"validation": {"settle": "10m", "duration": "1s"}, "mode": "Suspended"})
    world.apply(systems.manual("first"))
    world.wait_for_image("v12")
    world.apply(systems.manual("second", targetVersion="v12"), systems.manual("third"))
    for name in ("second", "third"):
        waits = world.wait_for_condition("rollback", "Planned", bool, name)
        assert (waits["status"], waits["reason"]) == ("False", "RollbackInProgress")
        assert "first is at work" in waits["message"]
    assert "waiting" in world.kubectl("get", "rbk", "second", namespace=world.namespace)
    world.patch("rollback", {"intent": "Abort"}, "third")
    assert world.wait_for_end("third")["result"] == "Aborted"

    world.patch("rollbackpolicy", {"validation": {"settle": "0s", "duration": "1s"}})
    world.patch("rollback", {"intent": "Abort"}, "first")
    assert world.wait_for_end("first")["result"] == "Aborted"
    second = world.wait_for_end("second")
    assert (second["result"], second["fromVersion"], second["toVersion"]) == ("Succeeded", "v13", "v12")
    assert [t["version"] for t in second["targets"]] == ["v12"]
    assert [p["name"] for p in second["procedure"]["probes"]] == ["ready"]
    assert world.image() == systems.image_of("v12")

    world.wait_for_condition("modeldeployment", "Ready", bool)
    world.apply(systems.manual("to-the-bad-one", targetVersion="v13"))
    bad = world.wait_for_end("to-the-bad-one")
    assert bad["result"] == "Denied"
    assert "quarantined until" in _complete(bad)
    world.wait_until_told("RollbackDenied", "Rollback", "ModelDeployment")
    world.apply(systems.manual("of-nothing", modelDeploymentRef={"name": "nothing"}))
    assert "does not exist" in _complete(world.wait_for_end("of-nothing"))

    world.patch("rollbackpolicy", {"historyLimit": 2})
    world.apply(systems.manual("one-too-many", targetVersion="v99"))
    left = wait_until(
        lambda: {r["metadata"]["name"] for r in world.rollbacks()},
        60,
        accept=lambda names: len(names) == 2,
        describe="the oldest to be deleted",
    )
    assert left == {"of-nothing", "one-too-many"}
