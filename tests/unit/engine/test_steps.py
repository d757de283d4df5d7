"""One step that writes, and everything that an API server may answer: what is written, and what it is taken for."""

from datetime import timedelta
from typing import Any

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.core.kinds import type_of
from model_rollback.core.pins import build_patch
from model_rollback.engine.reverting import pause_of
from model_rollback.engine.steps import Outcome, StepRunner
from model_rollback.engine.targets import ref_of
from model_rollback.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Unavailable
from tests.unit.core.builders import NOW, at, deployment, make_component, make_procedure
from tests.unit.engine.kept_objects import KeptObjects

BAD, GOOD, OTHER = ({"image": f"shop/recommender:{v}"} for v in ("v13", "v12", "v14"))
TEST_FAILED = Invalid("the server rejected our request")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self):
        return self.time

    async def sleep_until(self, moment):
        raise NotImplementedError


class Played:
    """A step that is taken on and on, as a run does it; every change is recorded before the next move."""

    def __init__(self, objects: KeptObjects, step: Step | None = None) -> None:
        self.objects = objects
        self.clock = Clock()
        self.step = step or Step(name="revert-model", action="Revert", component="model")

    async def move(self, expected: tuple[Any, ...] = (BAD,), wanted: Any = GOOD):
        runner = StepRunner(self.objects, self.objects, self.clock, "shop", "rb", 3)
        made = await runner.advance(self.step, make_component(), expected, wanted, make_procedure())
        if made.outcome is Outcome.CHANGED:
            self.step = self.step.model_copy(update=made.changes)
        return made

    async def run(self, **values: Any):
        """Until it does not change any more; the last answer."""
        for _ in range(20):
            made = await self.move(**values)
            if made.outcome is not Outcome.CHANGED or self.step.state in ("Succeeded", "Skipped"):
                return made
        raise AssertionError("the step never comes to an end")


def image_of(objects: KeptObjects) -> str:
    return objects.kept["Deployment", "model"]["spec"]["template"]["spec"]["containers"][1]["image"]


def put(image: str, **annotations: str):
    """Somebody else deploys just before the request is served."""

    def happen(objects: KeptObjects) -> None:
        obj = objects.kept["Deployment", "model"]
        obj["spec"]["template"]["spec"]["containers"][1]["image"] = image
        if annotations:
            obj["metadata"]["annotations"] = annotations

    return happen


def touched(objects: KeptObjects) -> None:
    """An annotation moves between read and write: a `test` fails, the version is the same."""
    annotations = objects.kept["Deployment", "model"]["metadata"].setdefault("annotations", {})
    annotations["modelrollback.dev/last-write"] = f"other/{len(annotations)}/{len(objects.faults)}"


async def test_a_step_is_recorded_before_it_writes_and_writes_once():
    played = Played(KeptObjects(deployment()))

    await played.move()
    assert (played.step.state, played.objects.writes) == ("Running", [])
    assert [r.value for r in (*played.step.before, *played.step.after)] == [BAD["image"], GOOD["image"]]
    await played.run()

    assert (played.step.state, played.objects.writes) == ("Succeeded", ["patch Deployment"])
    annotations = played.objects.kept["Deployment", "model"]["metadata"]["annotations"]
    assert annotations["modelrollback.dev/last-write"] == "rb/revert-model/3"


ANSWERS = {
    "a schema or an admission policy says no": (Invalid("x", causes=("image: bad",)), Reason.REFUSED),
    "a right is missing": (Forbidden("may not patch"), Reason.FORBIDDEN),
    "the object is gone": (NotFound("gone"), Reason.TARGETS_MISSING),
    "the request itself is wrong": (Refused("415"), Reason.REFUSED),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_an_answer_that_repeating_does_not_change_fails_the_step(case):
    answer, reason = ANSWERS[case]
    played = Played(KeptObjects(deployment(), faults=[answer]))

    made = await played.run()

    assert (made.outcome, made.reason) == (Outcome.FAILED, reason)
    assert played.objects.writes == []


@pytest.mark.parametrize("answer", [TEST_FAILED, Conflict("409"), touched], ids=["422", "409", "a real test"])
async def test_a_write_that_raced_is_rebuilt_while_the_bad_version_is_still_there(answer):
    played = Played(KeptObjects(deployment(), faults=[answer] * 4))

    await played.run()

    assert (played.step.state, played.objects.writes) == ("Succeeded", ["patch Deployment"])


async def test_five_rebuilds_are_enough():
    played = Played(KeptObjects(deployment(), faults=[TEST_FAILED] * 5))

    made = await played.run()

    assert (made.outcome, made.reason, played.objects.writes) == (Outcome.FAILED, Reason.CONFLICT, [])


async def test_a_write_whose_answer_was_lost_is_recorded_although_somebody_has_deployed_over_it():
    objects = KeptObjects(deployment())
    played = Played(objects)
    await played.move()
    objects.lost = Unavailable("time-out")
    await played.move()
    put(OTHER["image"])(objects)

    recorded, said = await played.move(), await played.move()

    assert list(recorded.changes) == ["written_at"]
    assert said.outcome is Outcome.SUPERSEDED
    assert objects.writes == ["patch Deployment"]


async def test_a_third_version_between_read_and_write_is_left_alone():
    played = Played(KeptObjects(deployment(), faults=[put(OTHER["image"])]))
    await played.move()

    assert (await played.move()).outcome is Outcome.WAIT
    assert (await played.move()).outcome is Outcome.SUPERSEDED
    assert (played.objects.writes, image_of(played.objects)) == ([], OTHER["image"])


@pytest.mark.parametrize("stored", [True, False], ids=["it had been stored", "it had not"])
@pytest.mark.parametrize("answer", [Unavailable("500"), Unavailable("no answer in time")], ids=str)
async def test_after_an_answer_that_says_nothing_the_target_is_read_again(answer, stored):
    objects = KeptObjects(deployment(), faults=None if stored else [answer])
    objects.lost = answer if stored else None
    played = Played(objects)
    await played.move()

    assert (await played.move()).outcome is Outcome.WAIT
    assert played.step.written_at is None, "nothing is assumed"
    await played.run()

    assert (played.step.state, played.objects.writes) == ("Succeeded", ["patch Deployment"])


async def test_an_overloaded_server_is_left_alone_as_long_as_it_asks():
    played = Played(KeptObjects(deployment(), faults=[Unavailable("429", retry_after=7)]))
    await played.move()

    made = await played.move()

    assert (made.outcome, made.look_again) == (Outcome.WAIT, timedelta(seconds=7))
    pause = pause_of(played.step, made, timedelta(minutes=10), now=at(100))
    assert (pause.until, pause.alone) == (at(107), at(107)), "a change of the target does not hasten it"


async def test_a_server_that_gave_no_answer_is_asked_again_as_soon_as_the_target_changes():
    played = Played(KeptObjects(deployment(), faults=[Unavailable("no answer in time")]))
    await played.move()

    pause = pause_of(played.step, await played.move(), timedelta(minutes=10), now=at(100))

    assert (pause.until, pause.alone) == (at(102), None)


async def test_a_server_that_is_away_too_long_fails_the_step_by_its_name():
    played = Played(KeptObjects(deployment(), faults=[Unavailable("503")]))
    await played.move()
    played.clock.time = at(700)

    made = await played.move()

    assert (made.outcome, made.reason) == (Outcome.FAILED, Reason.API_UNAVAILABLE)


async def test_what_others_put_there_is_skipped():
    played = Played(KeptObjects(deployment(GOOD["image"])))

    await played.run()

    assert (played.step.state, played.objects.writes) == ("Skipped", [])


async def test_a_bad_version_that_comes_back_is_not_fought():
    played = Played(KeptObjects(deployment()))
    for _ in range(2):
        await played.move()
    put(BAD["image"])(played.objects)

    made = await played.move()

    assert (made.outcome, made.reason) == (Outcome.FAILED, Reason.TARGET_CHANGED)
    assert played.objects.writes == ["patch Deployment"]


# --- restoring ----------------------------------------------------------------------------------------------------

RESTORE = Step(name="restore-model", action="Restore", component="model", was_ready=True)


async def test_a_restore_takes_back_any_of_the_targets_that_were_tried():
    played = Played(KeptObjects(deployment(GOOD["image"])), RESTORE)

    await played.run(expected=(OTHER, GOOD), wanted=BAD)

    assert (played.step.state, image_of(played.objects)) == ("Succeeded", BAD["image"])


async def test_a_late_duplicate_of_a_revert_fails_on_the_signature_of_the_restore():
    """The revert's answer was lost before it was stored; the restore finds everything as it was; then it arrives."""
    objects = KeptObjects(deployment())
    duplicate = build_patch(type_of(make_component()), deployment(), GOOD, "rb/revert-model/3")
    played = Played(objects, RESTORE)

    await played.run(expected=(GOOD,), wanted=BAD)

    assert (played.step.state, objects.writes) == ("Succeeded", ["patch Deployment"])
    with pytest.raises(Invalid):
        await objects.patch_json(ref_of("shop", make_component()), duplicate)
    assert image_of(objects) == BAD["image"]


async def test_a_restore_that_may_not_write_and_need_not_is_skipped():
    played = Played(KeptObjects(deployment(), faults=[Forbidden("may not patch")]), RESTORE)

    await played.run(expected=(GOOD,), wanted=BAD)

    assert (played.step.state, played.objects.writes) == ("Skipped", [])


@pytest.mark.parametrize("state", ["Pending", "Running"])
@pytest.mark.parametrize(
    "described",
    [{"image": "shop/recommender:v12", "log": "info"}, {}],
    ids=["a pin is gone since the plan", "a pin came since the plan"],
)
async def test_where_the_model_deployment_was_edited_since_the_plan_nothing_is_written(state, described):
    objects = KeptObjects(deployment())
    step = Step(name="revert-model", action="Revert", component="model", state=state, started_at=NOW)

    made = await Played(objects, step).move(wanted=described)

    assert (made.outcome, made.reason) == (Outcome.FAILED, Reason.INVALID_SPEC)
    assert made.message.startswith(
        "the ModelDeployment was edited: model has the pins image now, and the plan was"
    )
    assert objects.writes == []


@pytest.mark.parametrize(
    ("by", "judged", "outcome"),
    [
        ("model-rollback-operator", 1, Outcome.FAILED),
        ("model-rollback-operator", -1, Outcome.WAIT),
        ("somebody", 1, Outcome.WAIT),
        ("somebody", 6, Outcome.FAILED),
    ],
    ids=[
        "it came before the answer to the write",
        "it is about the bad version",
        "who wrote is not known, and it came before the answer",
        "who wrote is not known, and it came after the answer",
    ],
)
async def test_a_verdict_of_the_controller_counts_when_it_came_after_the_write(by, judged, outcome):
    played = Played(KeptObjects(deployment()))
    await played.move()
    played.clock.time = at(5)
    await played.move()
    assert played.step.written_at == at(5), "when this process had the answer"
    target = played.objects.kept["Deployment", "model"]
    wire = "%Y-%m-%dT%H:%M:%SZ"
    target["metadata"]["managedFields"] = [
        {"manager": by, "operation": "Update", "time": NOW.strftime(wire), "fieldsV1": {"f:metadata": {}}}
    ]
    gave_up = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": "it has timed out",
        "lastUpdateTime": at(judged).strftime(wire),
    }
    target["status"] = {**target.get("status", {}), "conditions": [gave_up], "updatedReplicas": 0}

    assert (await played.move()).outcome is outcome
