"""When pods are read: at a record, and when a target is ready again; never while nothing happens."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from model_rollback.core import versions
from model_rollback.core.live import observe
from model_rollback.core.pins import version_digest
from model_rollback.engine import revisions
from model_rollback.engine.announcer import Announcer
from model_rollback.engine.pruning import Pruning
from model_rollback.engine.recording import Recording
from model_rollback.engine.store import SystemEntry
from model_rollback.ports import ObjectRef
from tests.unit.core.builders import NOW, at, deployment, image, make_system, wire
from tests.unit.core.test_images import pod
from tests.unit.engine.api_server import Cluster

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TARGET = ObjectRef("apps/v1", "Deployment", "shop", "model")
OURS = ObjectRef("modelrollback.dev/v1alpha1", "ModelDeployment", "shop", "recommender")


class Clock:
    def now(self):
        return NOW


class Told:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def publish(self, notice: Any) -> None:
        self.reasons.append(notice.reason.value)


class Ground:
    """v13 has been live and ready for an hour; its pods run A."""

    def __init__(self) -> None:
        target = deployment()
        target["metadata"]["namespace"] = "shop"
        target["spec"]["selector"] = {"matchLabels": {"app": "model"}}
        status = {"currentVersion": "v13", "currentDigest": version_digest(image("v13"))}
        body = {
            "metadata": {"name": "recommender", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
            "spec": wire(make_system()),
            "status": status,
        }
        self.cluster = Cluster((TARGET, target), (OURS, body))
        self.pods = [pod(f"shop/recommender@{A}", owner="model-5d4")]
        self.asked = 0
        self.told = Told()
        self.start(body)
        self.entry.status = versions.track(self.entry.spec, self.entry.status, self.entry.targets, now=NOW)

    def start(self, body: Any) -> None:
        """A process that knows nothing yet."""
        self.entry = SystemEntry(body)
        seen = observe(self.entry.spec.components[0], self.cluster.objects[TARGET])
        self.entry.live["model"] = replace(seen, changed_at=at(-3600), ready_at=at(-60))
        self.recording = Recording(
            self.cluster,
            self,
            Pruning(self.cluster, self),
            Announcer(self.told),
            Clock(),
            lambda entry, status: versions.track(entry.spec, status, entry.targets, now=NOW),
        )

    async def selected(self, namespace: str, selector: Any) -> list[dict[str, Any]]:
        assert (namespace, selector) == ("shop", {"matchLabels": {"app": "model"}})
        self.asked += 1
        return self.pods

    async def list(self, api: str, kind: str, *place: Any) -> list[dict[str, Any]]:
        return [
            body for ref, body in self.cluster.objects.items() if (ref.api_version, ref.kind) == (api, kind)
        ]

    async def look(self) -> int:
        """How often pods were read for this look."""
        before = self.asked
        await self.recording.record_if_stable(self.entry)
        return self.asked - before

    def rolled_out_again(self) -> None:
        self.entry.live["model"] = replace(self.entry.live["model"], ready_at=at(-5))


@pytest.fixture
async def ground() -> Ground:
    made = Ground()
    assert await made.look() == 1
    return made


async def test_a_record_shows_what_its_pods_run(ground):
    status = ground.entry.status

    assert [i.image_id for i in status.history[0].images] == [f"shop/recommender@{A}"]
    assert status.components[0].observed[0].image_id == f"shop/recommender@{A}"


async def test_while_nothing_happens_nothing_is_read_or_written(ground):
    writes = len(ground.cluster.writes)

    assert await ground.look() == 0
    assert len(ground.cluster.writes) == writes


async def test_pods_that_are_ready_again_are_read_once_and_the_same_bits_write_nothing(ground):
    writes = len(ground.cluster.writes)
    ground.rolled_out_again()

    assert [await ground.look(), await ground.look()] == [1, 0]
    assert len(ground.cluster.writes) == writes


async def test_a_restart_of_this_process_reads_no_pods_of_a_target_that_has_not_changed(ground):
    ground.start(ground.cluster.objects[OURS])

    assert await ground.look() == 0


async def test_other_bits_after_a_restart_of_the_pods_are_a_new_version(ground):
    ground.pods = [pod(f"shop/recommender@{B}", owner="model-5d4")]
    ground.rolled_out_again()

    await ground.look()

    new, old = ground.entry.status.history
    assert (old.values[0].value, old.revision != new.revision) == (f"shop/recommender:v13@{A}", True)
    assert (new.moved_from, ground.entry.status.current_version) == (old.version, new.version)
    assert ground.told.reasons == ["MutableReference"]


async def test_what_was_just_kept_is_not_pruned_before_the_history_names_it(monkeypatch):
    """A Rollback was deleted in that moment, and with it goes what nobody names."""
    fresh = Ground()
    pruning = Pruning(fresh.cluster, fresh)
    keep = revisions.keep

    async def keep_while_others_prune(*arguments: Any) -> str:
        name = await keep(*arguments)
        others.append(asyncio.create_task(pruning.prune(fresh.entry)))
        for _ in range(20):
            await asyncio.sleep(0)
        return name

    others: list[asyncio.Task[None]] = []
    monkeypatch.setattr(revisions, "keep", keep_while_others_prune)

    await fresh.look()
    await asyncio.gather(*others)

    assert fresh.cluster.deletions == []
    assert fresh.entry.status.history[0].revision


async def test_bits_that_no_registry_names_cannot_come_back(ground):
    bare = Ground()
    bare.pods = [pod(A, owner="model-5d4")]
    await bare.look()
    bare.pods = [pod(B, owner="model-5d4")]
    bare.rolled_out_again()

    await bare.look()

    assert "no registry names it" in bare.entry.status.history[1].unavailable
