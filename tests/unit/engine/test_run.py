"""A Rollback whose status moves on while a move is made for where it was: by a write whose answer was lost."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.core import machine
from model_rollback.core.machine import IllegalTransition
from model_rollback.engine.context import Pause
from model_rollback.engine.run import RollbackRun
from model_rollback.engine.store import RollbackEntry, SystemEntry
from model_rollback.errors import NotFound
from tests.unit.api.objects import MODEL_DEPLOYMENT, ROLLBACK, with_fields
from tests.unit.core.builders import NOW

IDENTITY = {"name": "recommender", "namespace": "shop", "uid": "u"}


def rollback(resource_version: str, **status: Any) -> dict[str, Any]:
    return {**ROLLBACK, "metadata": {**IDENTITY, "resourceVersion": resource_version}, "status": status}


FINISHED = rollback("2", result="Denied")


class Overtaken(RollbackRun):
    """Every move is one for a Rollback that is only requested; what is seen meanwhile are `states`."""

    def __init__(self, *states: dict[str, Any], released: bool = True) -> None:
        world: Any = SimpleNamespace(
            epoch=lambda: 1,
            clock=SimpleNamespace(now=lambda: NOW),
            slots=SimpleNamespace(take=lambda begun: asyncio.Lock()),
        )
        system = with_fields(MODEL_DEPLOYMENT, {"metadata": {**IDENTITY, "resourceVersion": "1"}})
        super().__init__(world, SystemEntry(system), RollbackEntry(rollback("1")))
        self.states = list(states)
        self.moves = 0
        self.released = released

    async def _move(self) -> Pause | None:
        self.moves += 1
        if self.moves > 3:
            raise NotFound("the test ends")
        if self.states:
            self.offer(self.states.pop(0))
        machine.deny(self.rollback.status, Reason.NO_SAFE_TARGET, "none", at=NOW)
        return Pause(NOW)

    async def _released(self) -> bool:
        return self.released


async def test_a_move_that_was_overtaken_is_forgotten_and_where_it_is_looked_at_anew():
    run = Overtaken(FINISHED)

    await run.run()

    assert (run.moves, run.phase) == (1, machine.Phase.FINISHED)


async def test_an_illegal_move_that_nobody_overtook_is_an_error():
    run = Overtaken()
    run.rollback.adopt(FINISHED)

    with pytest.raises(IllegalTransition):
        await run.run()


async def test_a_run_that_is_overtaken_again_and_again_is_an_error():
    run = Overtaken(FINISHED, rollback("3", result="Denied"), released=False)

    with pytest.raises(IllegalTransition):
        await run.run()
    assert run.moves == 2


async def test_a_rollback_whose_status_cannot_be_read_is_left_alone_until_it_can():
    """As after a return to an older version of this program."""

    class Asked(RollbackRun):
        asked_for_a_plan = False

        async def _plan(self) -> Pause | None:
            self.asked_for_a_plan = True
            return Pause()

    place = Overtaken()
    run = Asked(place._c.world, place._c.system, RollbackEntry(rollback("1", result="Improved")))

    assert await run._move() == Pause()
    assert not run.asked_for_a_plan

    run.offer(rollback("2"))
    await run._move()
    assert run.asked_for_a_plan
