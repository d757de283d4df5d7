"""A Rollback that is deleted while it runs lets go of the lock, also when the API server does not answer just then."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.engine import lock
from model_rollback.engine.executor import Executor
from model_rollback.engine.store import PolicyEntry
from model_rollback.errors import NotFound, Unavailable
from tests.unit.core.builders import NOW, at
from tests.unit.engine.test_calm_ticks import body
from tests.unit.engine.test_lock import NAME, STATUS, rollback, stored, written


class Deleted:
    """A run whose Rollback is deleted at once."""

    name, asked, rollback = NAME, False, rollback(fromDigest=STATUS.current_digest)

    async def run(self):
        raise NotFound("it was deleted")

    async def stop_jobs(self, why):
        pass


@pytest.mark.parametrize(
    "policy", [None, PolicyEntry(body("m", "up"))], ids=["no policy", "a policy that is gone"]
)
@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_the_lock_of_a_deleted_rollback_is_cleared_as_soon_as_the_api_server_answers(failures, policy):
    cluster, system = stored(STATUS.model_copy(update={"active_rollback": NAME}))
    await lock.quarantine(cluster, system, NAME, "v13", STATUS.current_digest, until=at(3600))
    unanswered = iter([Unavailable("no answer")] * failures)
    told: list[Any] = []

    def lose() -> None:
        for error in unanswered:
            raise error

    async def sleep_until(moment):
        await asyncio.sleep(0)

    cluster.lose = lose
    world: Any = SimpleNamespace(
        objects=cluster,
        clock=SimpleNamespace(now=lambda: NOW, sleep_until=sleep_until),
        store=SimpleNamespace(policy_of=lambda _: policy),
        announcer=SimpleNamespace(tell=lambda reason, *_: told.append(reason)),
        slots=None,
    )

    async with asyncio.timeout(30):
        await Executor(world)._serve(system.key, system, NAME, Deleted())

    after = written(cluster)
    assert (after.active_rollback, after.quarantined) == ("", ())
    assert told[-1] == Reason.ROLLBACK_ABORTED
