"""A Rollback that stands in line is begun for the version that was judged, on fresh evidence, or not at all."""

import asyncio
from types import SimpleNamespace

import pytest

from model_rollback.api.v1alpha1 import RollbackPolicyStatus
from model_rollback.core.decide import decide
from model_rollback.core.pins import version_digest
from model_rollback.engine.executor import Executor
from model_rollback.engine.slots import Slots
from model_rollback.engine.store import PolicyEntry
from tests.unit.core.builders import NOW, at, breached, image, make_policy, make_trigger, observe
from tests.unit.engine.test_calm_ticks import body
from tests.unit.engine.test_lock import STATUS, stored


def deployed(episode: int) -> dict[str, object]:
    return {"current_version": "v14", "current_digest": version_digest(image("v14")), "episode": episode}


class Line:
    """An executor with one slot, and a breach of v13 that was judged at NOW."""

    def __init__(self):
        self.cluster, self.system = stored(STATUS)
        self.policy = PolicyEntry(body("m", "up"))
        self.cluster.objects[self.policy.ref] = body("m", "up")
        self.slots, self.now, self.launched = Slots(1), NOW, []
        clock = SimpleNamespace(now=lambda: self.now)
        world = SimpleNamespace(objects=self.cluster, slots=self.slots, clock=clock, epoch=lambda: 1)
        self.executor = Executor(world)
        self.executor._launch = lambda *arguments: self.launched.append(arguments[2])

    async def stand(self, policy, meanwhile):
        """Starts the Rollback of `policy` while the slot is taken, until `meanwhile` has happened."""
        triggers = {trigger.name: breached() for trigger in policy.triggers}
        seen = observe(status=STATUS, policy=policy, triggers=triggers)
        start = decide(seen, RollbackPolicyStatus(), generation=1).start
        async with self.slots.take(begun=True):
            starting = asyncio.create_task(self.executor.start(self.policy, self.system, start))
            await asyncio.sleep(0)
            meanwhile()
        return await starting


@pytest.fixture
def line():
    return Line()


@pytest.mark.parametrize("newer", [{}, deployed(8)], ids=["nothing happens meanwhile", "v14 comes meanwhile"])
async def test_a_version_that_nobody_judged_is_not_rolled_back(line, newer):
    def meanwhile():
        line.system.status = line.system.status.model_copy(update=newer)

    name = await line.stand(make_policy(), meanwhile)

    assert (name is None, bool(line.launched)) == (bool(newer), not newer)
    assert [ref.kind for ref in line.cluster.writes] == ([] if newer else ["ModelDeployment", "Rollback"])


@pytest.mark.parametrize(
    ("triggers", "good_for"),
    [
        ([make_trigger()], 300),
        ([make_trigger(maxHold="40s")], 40),
        ([make_trigger(), make_trigger("latency", maxHold="40s")], 40),
    ],
    ids=["by default", "by its own maxHold", "of several the shortest"],
)
@pytest.mark.parametrize(("late", "starts"), [(0, True), (1, False)], ids=["in time", "too late"])
async def test_a_breach_that_stood_in_line_for_longer_than_max_hold_is_to_be_seen_anew(
    line, triggers, good_for, late, starts
):
    policy = make_policy(*triggers)

    def meanwhile():
        line.now = at(good_for + late)

    name = await line.stand(policy, meanwhile)

    assert (name is not None, bool(line.launched)) == (starts, starts)
    assert bool(line.cluster.writes) is starts


@pytest.mark.parametrize(("late", "starts"), [(59, True), (60, False)], ids=["just before", "as it begins"])
async def test_none_is_begun_in_a_freeze_window_that_began_while_it_stood_in_line(line, late, starts):
    window = {"schedule": "1 10 5 1 *", "duration": "1h", "timeZone": "UTC"}
    line.policy.spec = make_policy(guards={"freezeWindows": [window]})

    def meanwhile():
        line.now = at(late)

    name = await line.stand(make_policy(), meanwhile)

    assert (name is not None, bool(line.cluster.writes)) == (starts, starts)
