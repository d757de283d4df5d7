"""A target that was read a moment ago is not read again for each move, and never written over when it has changed."""

import pytest

from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.engine.steps import Outcome, Seen, StepRunner
from tests.unit.core.builders import at, deployment, make_component, make_procedure
from tests.unit.engine.kept_objects import KeptObjects
from tests.unit.engine.test_steps import BAD, GOOD, OTHER, Clock, image_of, put

PENDING = Step(name="revert-model", action="Revert", component="model")


class Counting(KeptObjects):
    reads = 0
    dry_runs = 0

    async def patch_json(self, ref, operations, *, dry_run=False):
        self.dry_runs += dry_run
        return await super().patch_json(ref, operations, dry_run=dry_run)

    async def get(self, ref):
        self.reads += 1
        return await super().get(ref)


class Ground:
    """v13 is live and was seen so by the plan."""

    def __init__(self):
        self.objects = Counting(deployment(BAD["image"]))
        self.seen = Seen({"model": deployment(BAD["image"])})
        self.runner = StepRunner(self.objects, self.objects, Clock(), "shop", "rb", 3, self.seen)

    async def advance(self, step):
        return await self.runner.advance(step, make_component(), [BAD], GOOD, make_procedure())

    def begun(self, component=None):
        made = self.runner.begin(PENDING, component or make_component(), [BAD], GOOD)
        return None if made is None else PENDING.model_copy(update=made.changes)


@pytest.fixture
def ground():
    return Ground()


async def test_from_plan_to_patch_the_target_is_read_no_more(ground):
    await ground.runner.dry_run(make_component(), GOOD)
    begun = ground.begun()
    made = await ground.advance(begun)

    assert (begun.state, [r.value for r in begun.before]) == ("Running", [BAD["image"]])
    assert made.changes is not None
    assert image_of(ground.objects) == GOOD["image"]
    assert ground.objects.reads == 0


async def test_the_same_patch_is_tried_once_until_time_has_passed(ground):
    for _ in range(2):
        await ground.runner.dry_run(make_component(), GOOD)
    assert ground.objects.dry_runs == 1

    await ground.runner.dry_run(make_component(), OTHER)
    assert ground.objects.dry_runs == 2

    ground.seen.clear()
    await ground.runner.dry_run(make_component(), OTHER)
    assert ground.objects.dry_runs == 3


async def test_what_was_written_is_read_anew(ground):
    written = ground.begun().model_copy(update={"written_at": at(0)})
    ground.objects.kept["Deployment", "model"] = deployment(GOOD["image"])
    ground.seen.clear()

    assert (await ground.advance(written)).changes["state"] == "Succeeded"


async def test_a_dry_run_of_what_has_changed_since_is_made_of_what_is_there_now(ground):
    put(OTHER["image"])(ground.objects)

    await ground.runner.dry_run(make_component(), GOOD)

    assert ground.runner.begin(PENDING, make_component(), [BAD], GOOD).outcome is Outcome.SUPERSEDED
    assert image_of(ground.objects) == OTHER["image"]


async def test_a_version_that_came_after_the_look_is_not_written_over(ground):
    begun = ground.begun()
    put(OTHER["image"])(ground.objects)

    first = await ground.advance(begun)
    second = await ground.advance(begun)

    assert (first.outcome, second.outcome) == (Outcome.WAIT, Outcome.SUPERSEDED)
    assert ground.objects.writes == []


async def test_a_step_that_restarts_consumers_looks_at_them_before_it_begins(ground):
    consumer = {"kind": "Deployment", "name": "reader"}

    assert ground.begun(make_component(restart=[consumer])) is None
