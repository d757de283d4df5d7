"""Which version a plan puts back, and which one is next: judged when planned, and again when its turn comes."""

from typing import Any

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.core import machine
from model_rollback.core.pins import version_digest
from model_rollback.engine import leftovers, planning, revisions
from model_rollback.engine.next_target import Next, next_target
from model_rollback.engine.steps import StepRunner
from model_rollback.engine.store import PolicyEntry, RollbackEntry, SystemEntry
from tests.unit.core.builders import (
    NOW,
    deployment,
    image,
    make_policy,
    make_status,
    make_system,
    quarantined,
    recorded,
    wire,
)
from tests.unit.engine.kept_objects import KeptObjects
from tests.unit.engine.test_steps import Clock


def body(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"apiVersion": "modelrollback.dev/v1alpha1", "kind": kind, "metadata": metadata, **fields}


def revision(version: str) -> dict[str, Any]:
    return {
        "kind": "ControllerRevision",
        "metadata": {"name": f"recommender-{version}"},
        "data": {"values": image(version)},
    }


class Ground:
    """v13 is live; v12 and v11 are recorded and Verified, v10 is not Verified."""

    def __init__(self, live: str = "v13", **policy: Any) -> None:
        history = (recorded("v12"), recorded("v11"), recorded("v10", safe="Unverified"))
        self.objects = KeptObjects(
            deployment(f"shop/recommender:{live}"), *(revision(v) for v in ("v12", "v11", "v10"))
        )
        spec = wire(make_system())
        status = make_status("v13", *history)
        self.system = SystemEntry(body("ModelDeployment", "recommender", spec=spec, status=wire(status)))
        self.policy = PolicyEntry(body("RollbackPolicy", "recommender", spec=wire(make_policy(**policy))))
        self.runner = StepRunner(self.objects, self.objects, Clock(), "shop", "by-hand", 1)
        self.rollback = self.manual()

    def manual(self, **spec: Any) -> RollbackEntry:
        given = {
            "modelDeploymentRef": {"name": "recommender"},
            "policyRef": {"name": "recommender"},
            "type": "Manual",
            "reason": "users complain",
            "requestedBy": {"kind": "User", "name": "ann@shop.example"},
            **spec,
        }
        self.rollback = RollbackEntry(body("Rollback", "by-hand", spec=given))
        return self.rollback

    def know(self, **changes: Any) -> None:
        status: ModelDeploymentStatus = self.system.status.model_copy(update=changes)
        self.system.status = status

    async def make(self) -> planning.Made:
        return await planning.make(
            self.objects, self.runner, self.system, self.rollback, self.policy, now=NOW
        )

    async def planned(self) -> "Ground":
        made = await self.make()
        self.rollback.status = machine.planned(self.rollback.status, made.fields, at=NOW)
        return self

    async def next_target(self) -> Next:
        return await next_target(
            self.objects, self.runner, self.system, self.rollback, "answers: v9", now=NOW
        )

    def runs(self, version: str) -> None:
        template = self.objects.kept["Deployment", "model"]["spec"]["template"]
        template["spec"]["containers"][1]["image"] = f"shop/recommender:{version}"


async def test_a_plan_keeps_both_versions_and_lists_what_may_follow():
    made = await Ground().make()

    fields = made.fields
    assert (fields["from_version"], fields["to_version"]) == ("v13", "v12")
    assert fields["from_digest"] == version_digest(image("v13"))
    assert [(t.version, t.attempt) for t in fields["targets"]] == [("v12", 1), ("v11", 0)]
    assert [s.name for s in fields["steps"]] == ["revert-model", "validate"]


async def test_what_was_just_read_where_it_is_kept_is_not_kept_again():
    ground = Ground()
    v12 = recorded("v12")
    name = revisions.name_of(ground.system, image("v12"))
    ground.know(history=(v12.model_copy(update={"revision": name}),))
    ground.objects.kept["ControllerRevision", name] = revision("v12")

    made = await ground.make()

    assert made.fields["to_revision"] == name
    assert ground.objects.writes == ["create ControllerRevision"], "of the bad version"


@pytest.mark.parametrize("then", [1, 2, "?"], ids=["other then", "the same then", "nobody knows"])
async def test_a_field_beside_the_version_is_told_unless_it_is_as_it_was_when_the_target_was_recorded(then):
    ground = Ground()
    fields = {"f:spec": {"f:replicas": {}}}
    live = ground.objects.kept["Deployment", "model"]
    live["metadata"]["managedFields"] = [
        {"manager": "ci", "time": "2026-01-05T11:00:00Z", "fieldsV1": fields}
    ]
    ground.know(current_since=NOW.replace(hour=9))
    if then != "?":
        before = {**live, "spec": live["spec"] | {"replicas": then}}
        kept = ground.objects.kept["ControllerRevision", "recommender-v12"]["data"]
        kept["beside"] = leftovers.beside_now(make_system().components, {"model": before})

    made = await ground.make()

    told = [(n.object, n.fields) for n in made.fields["not_reverted"]]
    assert told == ([] if then == 2 else [("Deployment model", ("spec.replicas",))])


@pytest.mark.parametrize("beside", [None, "x", {"model": "x"}, ["x"]])
async def test_what_somebody_wrote_into_a_kept_version_does_not_stand_in_the_way(beside):
    ground = Ground()
    ground.objects.kept["ControllerRevision", "recommender-v12"]["data"]["beside"] = beside

    assert (await ground.make()).fields["to_version"] == "v12"


async def test_without_next_target_nothing_follows():
    made = await Ground(validation={"onFailure": "Halt"}).make()

    assert [t.version for t in made.fields["targets"]] == ["v12"]


async def test_a_version_that_a_person_names_is_tried_alone():
    ground = Ground()
    ground.manual(targetVersion="v11")

    assert [t.version for t in (await ground.make()).fields["targets"]] == ["v11"]


DENIED = {
    "not Verified": ({"targetVersion": "v10"}, {}, Reason.NO_SAFE_TARGET, "not Verified"),
    "quarantined": (
        {"targetVersion": "v12"},
        {"quarantined": (quarantined("v12"),)},
        Reason.NO_SAFE_TARGET,
        "quarantined until",
    ),
    "unknown": ({"targetVersion": "v99"}, {}, Reason.NO_SAFE_TARGET, "neither recorded nor declared"),
    "live": ({"targetVersion": "v13"}, {}, Reason.ALREADY_AT_TARGET, "it is what runs now"),
    "of another digest": (
        {"targetVersion": "v12", "targetDigest": "0" * 64},
        {},
        Reason.NO_SAFE_TARGET,
        "not the version of that digest",
    ),
    "nothing left": ({}, {"history": ()}, Reason.NO_SAFE_TARGET, "there is no version to go back to"),
}


@pytest.mark.parametrize("case", DENIED)
async def test_what_a_person_may_not_have_is_denied_with_the_reason(case):
    spec, known, reason, says = DENIED[case]
    ground = Ground()
    ground.manual(**spec)
    ground.know(**known)

    made = await ground.make()

    assert made.denied is not None
    assert made.denied[0] is reason
    assert says in made.denied[1]


async def test_a_version_whose_kept_values_are_gone_is_denied_or_gives_way_to_the_next():
    ground = Ground()
    del ground.objects.kept["ControllerRevision", "recommender-v12"]
    ground.manual(targetVersion="v12")
    denied = (await ground.make()).denied
    ground.manual()
    made = await ground.make()

    assert denied is not None
    assert (denied[0], "its kept values are gone" in denied[1]) == (Reason.ARTIFACT_MISSING, True)
    assert made.fields["to_version"] == "v11"


async def test_what_a_person_judged_must_still_be_what_runs():
    ground = Ground()
    ground.manual(fromVersion="v9")

    assert "is not v9 any more" in (await ground.make()).superseded


async def test_the_next_target_is_the_next_of_the_plan():
    ground = await Ground().planned()
    ground.runs("v12")

    following = await ground.next_target()

    assert (following.fields["to_version"], following.fields["to_revision"]) == (
        "v11",
        following.fields["targets"][1].revision,
    )
    assert [s.name for s in following.steps] == ["revert-model-2", "validate-2"]
    assert following.fields["targets"][0].message == "answers: v9"


async def test_a_next_target_that_was_quarantined_meanwhile_is_passed_over():
    ground = await Ground().planned()
    ground.runs("v12")
    ground.know(quarantined=(quarantined("v11"),))

    following = await ground.next_target()

    assert (following.steps, following.superseded) == ((), "")
    assert "no other target is left; v11: quarantined until" in following.why


async def test_a_newer_deploy_is_not_replaced_by_the_next_target():
    ground = await Ground().planned()
    ground.runs("v14")

    assert "is not v12 any more" in (await ground.next_target()).superseded


async def test_each_version_is_tried_once():
    ground = await Ground().planned()
    ground.runs("v12")
    following = await ground.next_target()
    status = ground.rollback.status.model_copy(update={**following.fields, "steps": following.steps})
    ground.rollback.status = status
    ground.runs("v11")

    assert (await ground.next_target()).steps == ()
