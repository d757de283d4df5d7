"""The plan and the first step are one write where every dry run passes at once; else the plan is written alone."""

from types import SimpleNamespace
from typing import Any

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.core.machine import Phase
from model_rollback.engine.run import RollbackRun
from model_rollback.errors import ClusterError, Refused, Unavailable
from model_rollback.ports import ObjectRef
from tests.unit.core.builders import NOW, deployment, wire
from tests.unit.engine.api_server import Cluster
from tests.unit.engine.test_planning import Ground, revision

API = "modelrollback.dev/v1alpha1"
TARGET = ObjectRef("apps/v1", "Deployment", "shop", "model")
ROLLBACK = ObjectRef(API, "Rollback", "shop", "by-hand")
SYSTEM = ObjectRef(API, "ModelDeployment", "shop", "recommender")


class Reluctant(Cluster):
    """Answers the next dry runs with these errors."""

    def __init__(self, *objects: tuple[ObjectRef, dict[str, Any]]) -> None:
        super().__init__(*objects)
        self.refusals: list[ClusterError] = []
        self.statuses: list[dict[str, Any]] = []
        self.overtaken_by: dict[str, Any] | None = None

    async def patch_json(self, ref, operations, *, dry_run=False):
        if dry_run and self.refusals:
            raise self.refusals.pop()
        return await super().patch_json(ref, operations, dry_run=dry_run)

    async def patch_status(self, ref, status, resource_version):
        if ref == ROLLBACK:
            before, self.overtaken_by = self.overtaken_by, None
            if before is not None:
                await super().patch_status(ref, before, resource_version)
            self.statuses.append(status)
        return await super().patch_status(ref, status, resource_version)


class Place:
    """A person's Rollback from v13 to v12 that nobody has looked at yet."""

    def __init__(self) -> None:
        ground = Ground()
        kept = ObjectRef("apps/v1", "ControllerRevision", "shop", "recommender-v12")
        identity = {"namespace": "shop", "resourceVersion": "1"}
        system = {"metadata": {**identity, "name": "recommender", "uid": "uid-recommender"}}
        record = {"metadata": {**identity, "name": "by-hand", "uid": "uid-by-hand"}}
        self.cluster = Reluctant(
            (TARGET, deployment("shop/recommender:v13")),
            (kept, revision("v12")),
            (SYSTEM, {**system, "spec": wire(ground.system.spec)}),
            (ROLLBACK, {**record, "spec": wire(ground.rollback.spec)}),
        )
        self.told: list[str] = []
        world: Any = SimpleNamespace(
            store=SimpleNamespace(policy_of=lambda _: ground.policy),
            objects=self.cluster,
            clock=SimpleNamespace(now=lambda: NOW),
            announcer=SimpleNamespace(tell=lambda reason, *_: self.told.append(reason)),
            epoch=lambda: 1,
        )
        self.run = RollbackRun(world, ground.system, ground.rollback)

    @property
    def written(self) -> list[tuple[str, bool, str]]:
        """Of each status: what Planned says, whether the procedure is in it, and the state of the first step."""
        return [
            (
                next(c["status"] for c in s["conditions"] if c["type"] == "Planned"),
                "procedure" in s,
                s["steps"][0]["state"],
            )
            for s in self.cluster.statuses
        ]


async def test_plan_dry_run_and_first_step_are_told_in_one_write_before_the_patch():
    place = Place()

    await place.run._move()

    assert place.written == [("True", True, "Running")]
    assert TARGET not in place.cluster.writes
    assert place.cluster.dry_runs == [TARGET]
    assert [q.version for q in place.run._c.system.status.quarantined] == ["v13"]
    assert place.told == [Reason.ROLLBACK_STARTED, Reason.VERSION_QUARANTINED], (
        "in the order that makes sense"
    )

    await place.run._move()
    assert place.cluster.writes.count(TARGET) == 1


async def test_a_plan_whose_dry_run_is_refused_is_written_alone_and_the_refusal_is_told():
    place = Place()
    place.cluster.refusals = [Refused("a policy says no")]

    await place.run._move()

    assert place.written == [("Unknown", True, "Pending"), ("False", True, "Pending")]
    assert place.told == [Reason.ROLLBACK_STARTED, Reason.PREFLIGHT_REFUSED]
    assert place.run.phase is Phase.PREFLIGHT
    assert not place.run._c.system.status.quarantined


async def test_where_the_dry_run_cannot_be_asked_nothing_is_written_and_next_time_the_plan_comes_first():
    place = Place()
    place.cluster.refusals = [Unavailable("no answer")]

    with pytest.raises(Unavailable):
        await place.run._move()
    place.run._c.look_anew()
    assert (place.written, place.told, place.run.phase) == ([], [], Phase.REQUESTED)
    assert place.run._c.status.procedure is None

    await place.run._move()
    assert place.written == [("Unknown", True, "Pending")]
    assert place.cluster.dry_runs == []


async def test_a_plan_that_another_process_wrote_first_does_not_count_as_tried():
    """What a process sent before it died may come late, and its dry runs were refused, or were never made."""
    predecessor = Place()
    predecessor.cluster.refusals = [Refused("a policy says no")]
    await predecessor.run._move()
    (alone, _) = predecessor.cluster.statuses
    place = Place()
    place.cluster.overtaken_by = {**alone, "planHash": "of another plan"}

    await place.run._move_once()

    assert (place.run.phase, place.run.rollback.status.plan_hash) == (Phase.PREFLIGHT, "of another plan")
    assert place.cluster.dry_runs == [TARGET]

    await place.run._move_once()
    assert place.run.phase is Phase.REVERTING
    assert place.cluster.dry_runs == [TARGET, TARGET]
