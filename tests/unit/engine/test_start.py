"""A Rollback that stands in line is begun for the version that was judged, or not at all."""

import asyncio
from types import SimpleNamespace

import pytest

from model_rollback.api.v1alpha1 import RollbackPolicyStatus
from model_rollback.core.decide import decide
from model_rollback.core.pins import version_digest
from model_rollback.engine.executor import Executor
from model_rollback.engine.slots import Slots
from model_rollback.engine.store import PolicyEntry
from tests.unit.core.builders import NOW, image, observe
from tests.unit.engine.test_calm_ticks import body
from tests.unit.engine.test_lock import STATUS, stored


def deployed(episode: int) -> dict[str, object]:
    return {"current_version": "v14", "current_digest": version_digest(image("v14")), "episode": episode}


@pytest.mark.parametrize("newer", [{}, deployed(8)], ids=["nothing happens meanwhile", "v14 comes meanwhile"])
async def test_a_version_that_nobody_judged_is_not_rolled_back(newer):
    cluster, system = stored(STATUS)
    policy = PolicyEntry(body("m", "up"))
    cluster.objects[policy.ref] = body("m", "up")
    slots = Slots(1)
    clock = SimpleNamespace(now=lambda: NOW)
    world = SimpleNamespace(objects=cluster, slots=slots, clock=clock, epoch=lambda: 1)
    executor = Executor(world)
    launched = []
    executor._launch = lambda *arguments: launched.append(arguments[2])
    start = decide(observe(status=STATUS), RollbackPolicyStatus(), generation=1).start

    async with slots.take(begun=True):
        starting = asyncio.create_task(executor.start(policy, system, start))
        await asyncio.sleep(0)
        system.status = system.status.model_copy(update=newer)
    name = await starting

    assert (name is None, bool(launched)) == (bool(newer), not newer)
    assert [ref.kind for ref in cluster.writes] == ([] if newer else ["ModelDeployment", "Rollback"])
