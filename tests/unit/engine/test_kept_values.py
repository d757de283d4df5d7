"""What is kept of a version is put back only as long as it is what the plan knew: a name alone proves nothing."""

from typing import Any

import pytest

from model_rollback.core.machine import Phase
from model_rollback.engine.run import RollbackRun
from model_rollback.engine.store import RollbackEntry
from model_rollback.ports import ObjectRef
from tests.unit.core.builders import image
from tests.unit.engine.test_first_write import ROLLBACK, TARGET, Place


async def successor(place: Place, field: str, values: dict[str, Any] | None) -> RollbackRun:
    """The process that takes up a Rollback whose first step runs.

    `values`: what is kept now in place of what the plan's `field` names.
    """
    await place.run._move()
    revision = getattr(place.run._c.status, field)
    kept = place.cluster.objects[ObjectRef("apps/v1", "ControllerRevision", "shop", revision)]
    if values is not None:
        kept["data"]["values"] = values
    return RollbackRun(
        place.run._c.world, place.run._c.system, RollbackEntry(await place.cluster.get(ROLLBACK))
    )


@pytest.mark.parametrize(
    ("values", "writes", "phase"),
    [(None, 1, Phase.REVERTING), (image("of-a-stranger"), 0, Phase.HALTED)],
    ids=["as it was", "made anew by somebody else"],
)
async def test_a_version_is_put_back_only_from_what_was_recorded(values, writes, phase):
    place = Place()
    run = await successor(place, "to_revision", values)

    await run._move()

    assert (place.cluster.writes.count(TARGET), run.phase) == (writes, phase)


@pytest.mark.parametrize(
    ("values", "phase"),
    [(None, Phase.RESTORING), (image("of-a-stranger"), Phase.HALTED)],
    ids=["as it was", "made anew by somebody else"],
)
async def test_what_ran_before_is_put_back_only_from_what_was_kept_then(values, phase):
    place = Place()
    run = await successor(place, "from_revision", values)
    place.cluster.objects[ROLLBACK]["spec"] |= {"intent": "Abort"}
    place.cluster.objects[ROLLBACK]["metadata"]["resourceVersion"] = "99"
    run.offer(await place.cluster.get(ROLLBACK))

    await run._move()
    await run._move()

    assert run.phase is phase
    assert place.cluster.objects[TARGET]["spec"]["template"]["spec"]["containers"][1]["image"] != (
        "shop/recommender:of-a-stranger"
    )
