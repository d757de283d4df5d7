"""With Prometheus gone during validation nothing is reverted a second time."""

from collections.abc import Iterator

import pytest

from tests.scenario.gateway import Gateway
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


@pytest.fixture
def line(world: World, operators: Operators) -> Iterator[Gateway]:
    """The way to Prometheus, which can be cut; v12 is Verified and v13 is live."""
    with Gateway(world.prometheus.url) as gateway:
        operators.start(sources={"default": {"url": gateway.url, "timeout": "1s"}})
        world.wait_for_version("v12", verified=True)
        world.deploy("v13")
        world.wait_for_version("v13")
        yield gateway


def _lose_prometheus_after_the_revert(world: World, line: Gateway) -> None:
    world.quality(BAD)
    world.wait_for_image("v12")
    line.cut()
    world.quality(GOOD)
    wait_until(
        lambda: {p["state"] for p in world.rollback()["status"].get("validation", [])},
        60,
        accept=lambda states: "Unknown" in states,
        describe="a probe that cannot be asked",
    )


def _reverts(world: World, audit: Audit, mark: int) -> int:
    return len([e for e in audit.writes_since(mark, user=world.actor) if e.resource == "deployments"])


def test_it_waits_and_is_validated_once_prometheus_is_back(world: World, line: Gateway, audit: Audit) -> None:
    mark = audit.mark()
    _lose_prometheus_after_the_revert(world, line)
    world.wait_for_condition("rollbackpolicy", "MetricsAvailable", is_("False"))
    assert world.rollback()["status"].get("result", "") == ""
    line.mend()
    assert world.wait_for_result()["status"]["result"] == "Succeeded"
    assert _reverts(world, audit, mark) == 1


def test_it_halts_after_its_time_and_goes_on_when_told(world: World, line: Gateway, audit: Audit) -> None:
    world.patch("rollbackpolicy", {"execution": {"stepTimeout": "3s"}})
    mark = audit.mark()
    _lose_prometheus_after_the_revert(world, line)
    halted = world.wait_for_rollback("Halted", is_("True", "ValidationUnknown"))
    assert "could not be validated" in halted["message"]
    assert "Reverted: model." in halted["message"]
    line.mend()
    world.say("Resume")
    assert world.wait_for_result()["status"]["result"] == "Succeeded"
    assert _reverts(world, audit, mark) == 1
