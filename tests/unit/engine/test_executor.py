"""What was deleted while a Rollback ran ends it, also when the API server does not answer just then."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1 import RollbackStatus
from model_rollback.engine import lock
from model_rollback.engine.executor import Executor
from model_rollback.engine.store import PolicyEntry
from model_rollback.errors import NotFound, Unavailable
from tests.unit.core.builders import NOW, at
from tests.unit.engine.test_calm_ticks import body
from tests.unit.engine.test_lock import NAME, STATUS, rollback, stored, written
from tests.unit.engine.test_requests import manual


class Run:
    """A run whose Rollback is deleted at once."""

    name, asked = NAME, False

    def __init__(self, system_uid, status):
        self.rollback = rollback(fromDigest=STATUS.current_digest)
        self.rollback.status = RollbackStatus.model_validate(status)
        self.system_uid = system_uid

    async def run(self):
        raise NotFound("it was deleted")

    async def stop_jobs(self, why):
        pass


class Place:
    """An executor in the middle of a Rollback; the answers to its first `failures` writes are lost."""

    def __init__(self, failures, policy=None):
        self.cluster, self.system = stored(STATUS.model_copy(update={"active_rollback": NAME}))
        self.told, self.pauses = [], 0
        self._unanswered = iter([Unavailable("no answer")] * failures)
        world: Any = SimpleNamespace(
            objects=self.cluster,
            clock=SimpleNamespace(now=lambda: NOW, sleep_until=self._sleep),
            store=SimpleNamespace(policy_of=lambda _: policy),
            announcer=SimpleNamespace(tell=lambda reason, *_: self.told.append(reason)),
            slots=None,
        )
        self.executor = Executor(world)

    async def _sleep(self, moment):
        self.pauses += 1
        await asyncio.sleep(0)

    def lose_answers(self):
        def lose():
            for error in self._unanswered:
                raise error

        self.cluster.lose = lose


@pytest.mark.parametrize(
    "policy", [None, PolicyEntry(body("m", "up"))], ids=["no policy", "a policy that is gone"]
)
@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_the_lock_of_a_deleted_rollback_is_cleared_as_soon_as_the_api_server_answers(failures, policy):
    place = Place(failures, policy)
    await lock.quarantine(place.cluster, place.system, NAME, "v13", STATUS.current_digest, until=at(3600))
    place.lose_answers()

    async with asyncio.timeout(30):
        await place.executor._serve(place.system.key, place.system, NAME, Run("u", {}))

    after = written(place.cluster)
    assert (after.active_rollback, after.quarantined) == ("", ())
    assert place.told[-1] == Reason.ROLLBACK_ABORTED


@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_the_record_of_a_deleted_model_deployment_is_ended_as_soon_as_the_api_server_answers(failures):
    place = Place(failures)
    run = Run("u", {})
    stored_rollback = {**manual(NAME), "metadata": {**manual(NAME)["metadata"], "uid": "r"}}
    place.cluster.objects[run.rollback.ref] = stored_rollback
    place.executor._runs[place.system.key] = run
    place.lose_answers()

    async with asyncio.timeout(30):
        await place.executor.bereave(place.system.key, "u")

    assert place.cluster.objects[run.rollback.ref]["status"]["result"] == "Aborted"
    assert place.told == [Reason.ROLLBACK_ABORTED]
