"""A newer deploy in between is not the operator's to undo."""

from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import OperatorProcess, Operators

pytestmark = pytest.mark.cluster


def test_a_deploy_before_the_first_write_ends_it_with_nothing_written(
    protected: World, operator: OperatorProcess, audit: Audit
) -> None:
    protected.deploy("v13")
    protected.wait_for_version("v13")
    mark = audit.mark()
    with protected.without_right("patch", "deployments"):
        protected.quality(BAD)
        protected.wait_for_rollback("Planned", is_("False", "Forbidden"))
        protected.quality(GOOD)
        protected.deploy("v14")
        _assert_superseded(protected)
    protected.wait_for_ticks(operator, 2)

    writes = [e for e in audit.writes_since(mark, user=protected.actor) if e.resource == "deployments"]
    assert writes == [], "only dry runs were tried"
    assert protected.image().endswith(":v14")
    assert not protected.status().get("quarantined"), "v13 was never taken away by us"


def test_a_deploy_while_the_old_version_comes_up_ends_it(
    world: World, operators: Operators, audit: Audit
) -> None:
    """v12 takes a while to be ready, and v14 comes in that while."""
    world.deploy("v12", annotations={"sim/ready-after": "2s"})
    operators.start()
    world.wait_for_version("v12", verified=True)
    world.deploy("v13")
    world.wait_for_version("v13")
    mark = audit.mark()
    world.quality(BAD)
    world.wait_for_image("v12")
    world.deploy("v14")
    _assert_superseded(world)
    _assert_written_once(world, audit, mark)


def test_a_deploy_during_validation_ends_it(protected: World, audit: Audit) -> None:
    protected.patch("rollbackpolicy", {"validation": {"settle": "10m", "duration": "2s"}})
    protected.deploy("v13")
    protected.wait_for_version("v13")
    mark = audit.mark()
    protected.quality(BAD)
    protected.wait_for_rollback("Reverted", is_("True"))
    protected.deploy("v14")
    _assert_superseded(protected)
    _assert_written_once(protected, audit, mark)


def _assert_superseded(world: World) -> None:
    done: dict[str, Any] = world.wait_for_result()
    assert done["status"]["result"] == "Superseded"
    world.wait_for_version("v14")
    assert world.status().get("currentBy", "") == "", "v14 is not ours"
    world.wait_for_event("RollbackSuperseded")
    assert world.image() == systems.image_of("v14")


def _assert_written_once(world: World, audit: Audit, mark: int) -> None:
    writes = [e for e in audit.writes_since(mark, user=world.actor) if e.resource == "deployments"]
    assert [(e.verb, e.code) for e in writes] == [("patch", 200)]
