"""A step that is a Job: one Job, whatever crashes and whichever answer is lost."""

from datetime import timedelta
from typing import Any

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.core.jobs import from_cron_job, job_name
from model_rollback.engine.jobs import JobRunner
from model_rollback.engine.steps import Outcome
from model_rollback.errors import Forbidden, Unavailable
from model_rollback.ports import ObjectRef
from tests.unit.core.builders import NOW, at, make_procedure
from tests.unit.engine.kept_objects import KeptObjects
from tests.unit.engine.test_steps import Clock

CRON_JOB: dict[str, Any] = {
    "kind": "CronJob",
    "metadata": {"name": "build-features", "uid": "uid-1"},
    "spec": {
        "schedule": "0 * * * *",
        "jobTemplate": {
            "metadata": {"labels": {"app": "features"}, "annotations": {"team": "ml"}},
            "spec": {"ttlSecondsAfterFinished": 60, "template": {"spec": {"restartPolicy": "Never"}}},
        },
    },
}
REF = ObjectRef("batch/v1", "CronJob", "shop", "build-features")
NAME = job_name("build-features", "uid-rb", "reprocess-features", 0)


class Played:
    """A Reprocess that is taken on and on."""

    def __init__(self, objects: KeptObjects, **fields: Any) -> None:
        self.objects = objects
        self.clock = Clock()
        given = {"timeout": timedelta(minutes=30), **fields}
        self.step = Step(name="reprocess-features", action="Reprocess", component="features", **given)

    async def move(self):
        runner = JobRunner(self.objects, self.objects, self.clock, "shop", "rb", "uid-rb")
        made = await runner.reprocess(self.step, REF, make_procedure())
        if made.outcome is Outcome.CHANGED:
            self.step = self.step.model_copy(update=made.changes)
        return made

    async def stop(self, why: str):
        runner = JobRunner(self.objects, self.objects, self.clock, "shop", "rb", "uid-rb")
        return await runner.stop(self.step, REF.name, why)

    async def begun(self):
        """The Job is there and runs."""
        for _ in range(3):
            made = await self.move()
        assert made.outcome is Outcome.WAIT
        assert made.look_again is not None
        return self

    def end(self, type_: str) -> None:
        self.objects.kept["Job", NAME]["status"] = {
            "conditions": [{"type": type_, "status": "True", "message": "BackoffLimitExceeded"}]
        }


async def test_the_job_is_made_once_and_waited_for():
    played = await Played(KeptObjects(CRON_JOB)).begun()
    played.end("Complete")

    await played.move()

    assert (played.step.state, played.objects.writes) == ("Succeeded", ["create Job"])


def test_the_job_is_what_kubectl_would_make_of_the_cron_job():
    job = from_cron_job(CRON_JOB, NAME, "rb")

    metadata = job["metadata"]
    assert metadata["labels"] == {"app": "features"}
    assert metadata["annotations"] == {
        "team": "ml",
        "cronjob.kubernetes.io/instantiate": "manual",
        "modelrollback.dev/rollback": "rb",
    }
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner.get("controller")) == ("CronJob", "uid-1", None)
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600, "it must be there when its end is looked for"
    assert CRON_JOB["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 60


async def test_a_lost_answer_makes_no_second_job():
    objects = KeptObjects(CRON_JOB)
    objects.lost = Unavailable("no answer in time")
    played = Played(objects)
    for _ in range(4):
        await played.move()

    assert (objects.writes, played.step.written_at) == (["create Job"], NOW)


async def test_whoever_comes_after_a_crash_finds_the_job():
    before = await Played(KeptObjects(CRON_JOB)).begun()

    after = await Played(before.objects, state="Running", started_at=NOW).move()

    assert after.outcome is Outcome.CHANGED
    assert before.objects.writes == ["create Job"]


async def test_a_job_that_failed_fails_the_step_with_its_words():
    played = await Played(KeptObjects(CRON_JOB)).begun()
    played.end("Failed")

    made = await played.move()

    assert (made.outcome, made.reason) == (Outcome.FAILED, Reason.JOB_FAILED)
    assert "BackoffLimitExceeded" in made.message


async def test_a_job_has_its_own_time():
    played = await Played(KeptObjects(CRON_JOB)).begun()
    played.clock.time = at(1700)
    assert (await played.move()).outcome is Outcome.WAIT, "stepTimeout of 10m does not count here"
    played.clock.time = at(1801)

    made = await played.move()

    assert (made.outcome, made.reason) == (Outcome.FAILED, Reason.STEP_TIMED_OUT)
    assert made.message.endswith(f"Job {NAME} is suspended"), "a repeat shall not run beside it"
    assert played.objects.kept["Job", NAME]["spec"]["suspend"] is True


async def test_a_job_that_is_stopped_is_suspended_once_and_kept_with_the_reason():
    played = await Played(KeptObjects(CRON_JOB)).begun()

    said = [await played.stop("a person said Abort") for _ in range(2)]

    assert said == [f"Job {NAME} is suspended"] * 2
    job = played.objects.kept["Job", NAME]
    assert (job["spec"]["suspend"], played.objects.writes) == (True, ["create Job", "patch Job"])
    assert job["metadata"]["annotations"]["modelrollback.dev/suspended"] == "a person said Abort"
    assert job["metadata"]["annotations"]["modelrollback.dev/rollback"] == "rb"
    assert await played.stop("for another reason") == "", "the reason is told already"


async def test_a_job_that_has_ended_or_is_gone_is_left_alone():
    played = await Played(KeptObjects(CRON_JOB)).begun()
    played.end("Complete")
    assert await played.stop("a person said Abort") == ""
    del played.objects.kept["Job", NAME]

    assert await played.stop("a person said Abort") == ""
    assert played.objects.writes == ["create Job"]


async def test_a_job_that_may_not_be_suspended_is_named():
    played = await Played(KeptObjects(CRON_JOB)).begun()
    played.objects.faults = [Forbidden("may not patch jobs")]

    said = await played.stop("a person said Abort")

    assert said == f"Job {NAME} runs on: it cannot be suspended: may not patch jobs"


async def test_a_job_that_vanished_is_not_run_again():
    played = await Played(KeptObjects(CRON_JOB)).begun()
    del played.objects.kept["Job", NAME]

    made = await played.move()

    assert (made.outcome, played.objects.writes) == (Outcome.FAILED, ["create Job"])


async def test_a_job_of_somebody_else_is_not_taken_for_ours():
    other = from_cron_job(CRON_JOB, NAME, "another")
    played = Played(KeptObjects(CRON_JOB, other))
    await played.move()

    made = await played.move()

    assert (made.outcome, made.reason) == (Outcome.FAILED, Reason.CONFLICT)


async def test_a_right_that_is_missing_is_said():
    played = Played(KeptObjects(CRON_JOB, faults=[Forbidden("may not create jobs")]))
    await played.move()

    assert (await played.move()).reason is Reason.FORBIDDEN


@pytest.mark.parametrize("base", ["x" * 200, "a.b-" * 20, "features"])
def test_names_fit_into_a_label_and_a_repeat_has_one_of_its_own(base):
    first, again = (job_name(base, "uid", "reprocess-features", repeats) for repeats in (0, 1))

    assert len(first) <= 63
    assert first != again
    assert first == job_name(base, "uid", "reprocess-features", 0)
