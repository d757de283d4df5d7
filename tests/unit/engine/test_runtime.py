"""Watch events that come late: what is known by then counts."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from model_rollback.core.brake import BrakeRule
from model_rollback.engine.runtime import Runtime
from model_rollback.engine.store import Store
from model_rollback.engine.targets import TargetWatcher
from model_rollback.ports import WatchEvent
from tests.unit.core.builders import breached
from tests.unit.engine.test_calm_ticks import body
from tests.unit.engine.virtual_time import VirtualLoop

KEY = ("shop", "m")


def of(uid: str) -> dict[str, Any]:
    made = body("m", "up")
    return {**made, "metadata": {**made["metadata"], "uid": uid}}


@pytest.mark.parametrize("kind", ["policies", "systems"])
@pytest.mark.parametrize(("gone", "known"), [("old", True), ("new", False)])
async def test_the_end_of_an_object_is_not_that_of_its_successor(kind, gone, known):
    outside = MagicMock(source_rules=None)
    runtime = Runtime(outside, elected=MagicMock(), brake=BrakeRule(), at_once=1)
    tell = runtime.on_policy if kind == "policies" else runtime.on_system
    tell(of("new"), deleted=False)

    tell(of(gone), deleted=True)

    assert (KEY in getattr(runtime.store, kind)) is known


@pytest.mark.parametrize(("hangs", "least", "most"), [("", 0, 1), ("StatefulSet", 9.9, 11)])
def test_the_first_tick_waits_for_the_targets_but_not_for_ever(hangs, least, most):
    class Watches:
        async def watch(self, _, kind):
            if kind == hangs:
                await asyncio.Event().wait()
            yield WatchEvent("Listing")
            yield WatchEvent("Unavailable" if kind == "DaemonSet" else "Synced", message="no right to list")
            await asyncio.Event().wait()

    async def work():
        targets = TargetWatcher(Store(), MagicMock(), Watches(), MagicMock(), lambda _: None)
        for kind in ("Deployment", "StatefulSet", "DaemonSet"):
            targets._follow(("apps/v1", kind))
        began = asyncio.get_running_loop().time()
        await targets.listed(10)
        took = asyncio.get_running_loop().time() - began
        await targets.stop()
        return took

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert least <= runner.run(work()) < most


@pytest.mark.parametrize(("policies", "ticks_after", "waited"), [(500, 3, 0), (501, 3, 3), (501, 60, 15)])
def test_what_takes_long_where_there_are_many_waits_for_their_first_tick_but_not_for_ever(
    policies, ticks_after, waited
):
    async def work():
        runtime = Runtime(MagicMock(source_rules=None), elected=MagicMock(), brake=BrakeRule(), at_once=1)
        runtime.first_list.is_over.set()
        runtime.store.policies = dict.fromkeys(range(policies))
        loop = asyncio.get_running_loop()
        loop.call_later(ticks_after, runtime.scheduler.ticked.set)
        began = loop.time()
        await runtime.at_leisure()
        return loop.time() - began

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(work()) == pytest.approx(waited, abs=0.1)


async def test_the_rollback_of_a_successor_does_not_end_with_its_predecessor():
    runtime = Runtime(MagicMock(source_rules=None), elected=MagicMock(), brake=BrakeRule(), at_once=1)
    run = MagicMock(system_uid="new", stop_jobs=AsyncMock())
    runtime.executor._runs[KEY] = run

    await runtime.executor.bereave(KEY, "old")

    run.stop_jobs.assert_not_awaited()


async def test_a_policy_that_was_made_anew_does_not_inherit_the_clocks_of_its_namesake():
    runtime = Runtime(MagicMock(source_rules=None), elected=MagicMock(), brake=BrakeRule(), at_once=1)
    runtime.on_policy(of("old"), deleted=False)
    former = runtime.store.policies[KEY]
    former.memories, former.recalled = {"t": breached()}, True

    runtime.on_policy(of("new"), deleted=False)
    successor = runtime.store.policies[KEY]

    assert (successor.uid, successor.memories, successor.recalled) == ("new", {}, False)
    assert [list(group.values()) for group in runtime.store.groups.values()] == [[successor]]
    assert list(runtime.store.policies_of(KEY)) == [successor]
