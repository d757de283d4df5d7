"""What a step asks before it writes, how it knows its own write again, and when it is done."""

from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.engine.steps import Outcome, StepRunner
from model_rollback.errors import Unavailable
from model_rollback.ports import ObjectRef
from tests.unit.core.builders import NOW, at, deployment, make_component, make_procedure
from tests.unit.engine.api_server import Cluster

TARGET = ObjectRef("apps/v1", "Deployment", "shop", "model")
BAD, GOOD = ({"image": f"shop/recommender:{v}"} for v in ("v13", "v12"))
PENDING = Step(name="revert-model", action="Revert", component="model")
RUNNING = PENDING.model_copy(update={"state": "Running", "started_at": NOW, "was_ready": True})
WRITTEN = RUNNING.model_copy(update={"written_at": at(1)})
SIGNED = {"modelrollback.dev/last-write": "recommender-1a2b3c4d5e/revert-model/3"}


class Clock:
    def now(self):
        return at(5)

    async def sleep_until(self, moment):
        raise AssertionError(f"nobody sleeps until {moment}")


def cluster(pins=BAD, *, ready=True, **metadata):
    body = deployment(pins["image"], **metadata)
    if not ready:
        body["status"]["availableReplicas"] = 1
    return Cluster((TARGET, body))


def runner(objects):
    return StepRunner(objects, objects, Clock(), "shop", "recommender-1a2b3c4d5e", 3)


async def advance(objects, step):
    return await runner(objects).advance(step, make_component(), [BAD], GOOD, make_procedure())


def image_of(objects):
    return objects.objects[TARGET]["spec"]["template"]["spec"]["containers"][1]["image"]


async def test_a_dry_run_writes_nothing():
    objects = cluster()

    await runner(objects).dry_run(make_component(), GOOD)

    assert (objects.dry_runs, objects.writes) == ([TARGET], [])
    assert image_of(objects) == BAD["image"]


async def test_a_running_step_writes_and_signs():
    objects = cluster()

    progress = await advance(objects, RUNNING)

    assert progress.changes == {"written_at": at(5)}
    assert image_of(objects) == GOOD["image"]
    assert objects.objects[TARGET]["metadata"]["annotations"] == SIGNED


async def test_a_write_whose_answer_was_lost_is_found_by_its_signature_and_not_repeated():
    objects = cluster()

    def lost():
        raise Unavailable("no answer within 10 s")

    objects.lose = lost
    first = await advance(objects, RUNNING)
    second = await advance(objects, RUNNING)

    assert first.outcome is Outcome.WAIT
    assert second.changes == {"written_at": at(5)}
    assert objects.writes == [TARGET]


async def test_a_step_is_not_done_before_its_pods_are_ready():
    waiting = await advance(cluster(GOOD, ready=False, annotations=SIGNED), WRITTEN)
    done = await advance(cluster(GOOD, annotations=SIGNED), WRITTEN)

    assert waiting.outcome is Outcome.WAIT
    assert done.changes is not None
    assert done.changes["state"] == "Succeeded"
