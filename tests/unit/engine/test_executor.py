"""What was deleted while a Rollback ran ends it, also when the API server does not answer just then."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1 import RollbackStatus
from model_rollback.engine import lock
from model_rollback.engine.context import Pause
from model_rollback.engine.executor import Executor
from model_rollback.engine.run import RollbackRun
from model_rollback.engine.slots import Slots
from model_rollback.engine.store import PolicyEntry, RollbackEntry
from model_rollback.errors import NotFound, Unavailable
from tests.unit.core.builders import NOW, at, live
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
            look_at_targets=self._look,
        )
        self.executor = Executor(world)
        self.found = live()

    async def _look(self, key):
        self.system.live = {"model": self.found}

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


@pytest.mark.parametrize(
    ("signature", "kept_out"),
    [(f"{NAME}/revert-model/1", ["v13"]), ("recommender-earlier/revert-model/1", [])],
    ids=["it was patched", "it was not"],
)
async def test_a_version_is_kept_out_when_its_rollback_was_deleted_before_it_could_say_that_it_wrote(
    signature, kept_out
):
    place = Place(0)
    await lock.quarantine(place.cluster, place.system, NAME, "v13", STATUS.current_digest, until=at(3600))
    place.found = live("v12", last_write=signature)  # the watch has not told of it yet

    await place.executor._serve(place.system.key, place.system, NAME, Run("u", {}))

    assert [q.version for q in written(place.cluster).quarantined] == kept_out


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


def of(uid: str, version: str) -> dict[str, Any]:
    made = manual(NAME)
    return {**made, "metadata": {**made["metadata"], "uid": uid, "resourceVersion": version}}


class Running:
    """An executor that runs the Rollback `new`, as it was at version 20."""

    def __init__(self):
        place = Place(0)
        self.executor, self.reconsidered = place.executor, asyncio.Queue()
        self.world = place.executor._world
        self.world.epoch, self.world.slots = lambda: 1, Slots(1)
        self.world.reconsider = self.reconsidered.put_nowait
        self.run = RollbackRun(self.world, place.system, RollbackEntry(of("new", "20")))
        self.executor._runs[place.system.key] = self.run
        self.key, self.system = place.system.key, place.system

    async def is_vanished(self):
        """Whether it would let go of its lock."""
        self.run._move = self._pause
        self.run._released = self._release
        try:
            async with asyncio.timeout(0.05):
                await self.run.run()
        except NotFound:
            return True
        except TimeoutError:
            return False

    async def _pause(self):
        return Pause()

    async def _release(self):
        return True


@pytest.mark.parametrize(("uid", "ends"), [("new", True), ("old", False)])
async def test_the_end_of_a_rollback_is_not_that_of_its_successor(uid, ends):
    running = Running()

    running.executor.gone(of(uid, "30"))

    assert await running.is_vanished() is ends


@pytest.mark.parametrize(
    ("body", "runs_here", "ends"),
    [
        (of("new", "21"), True, False),
        (of("old", "19"), False, False),
        (of("newest", "30"), False, True),
    ],
    ids=["itself", "what had its name before", "a successor, so it was deleted"],
)
async def test_a_run_does_not_become_that_of_a_namesake(body, runs_here, ends):
    running = Running()

    assert running.executor.offer(body) is runs_here
    assert running.run.rollback.uid == "new"
    assert await running.is_vanished() is ends


async def test_a_successor_is_looked_at_when_its_predecessor_has_let_go():
    running = Running()
    ref = running.run.rollback.ref
    running.executor.offer(of("newest", "30"))

    running.executor._launch(running.key, running.system, NAME, running.run)
    async with asyncio.timeout(30):
        assert await running.reconsidered.get() == ref
