"""Kept versions that nobody names any more are deleted; those of a history or a Rollback stay."""

from typing import Any

import pytest

from model_rollback.core.confidential import Confidential
from model_rollback.engine import revisions
from model_rollback.engine.pruning import Pruning
from model_rollback.engine.store import SystemEntry
from model_rollback.errors import Unavailable
from tests.unit.core.builders import make_status, recorded, wire
from tests.unit.engine.kept_objects import KeptObjects


class Listed(KeptObjects):
    """The ModelDeployment is stored as `body()` unless another one is among the objects."""

    def __init__(self, *objects: dict[str, Any], faults: Any = None) -> None:
        super().__init__(body(), *objects, faults=faults)

    async def list(self, api_version: str, kind: str, namespace: str, labels: Any) -> list[dict[str, Any]]:
        return [o for (k, _), o in self.kept.items() if k == kind]


def revision(name: str, uid: str = "mdep-1", **data: Any) -> dict[str, Any]:
    owners = [{"kind": "ModelDeployment", "name": "recommender", "uid": uid}]
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "ownerReferences": owners}
    return {"kind": "ControllerRevision", "metadata": metadata, "data": data}


def secret(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "ownerReferences": [{"uid": "mdep-1"}]}
    return {"kind": "Secret", "type": "modelrollback.dev/version", "metadata": metadata}


def rollback(**status: Any) -> dict[str, Any]:
    return {"kind": "Rollback", "metadata": {"name": "r1", "namespace": "shop"}, "status": status}


def body(*history: str, version: int = 7, **status: Any) -> dict[str, Any]:
    past = [recorded(name) for name in history or ("v12",)]
    written = wire(make_status("v12", *past, **status))
    metadata = {"name": "recommender", "namespace": "shop", "uid": "mdep-1", "resourceVersion": str(version)}
    return {"kind": "ModelDeployment", "metadata": metadata, "spec": {}, "status": written}


def system(**status: Any) -> SystemEntry:
    return SystemEntry(body(**status))


KEPT = {
    "what the history names": ("recommender-v12", []),
    "what a Rollback came from": ("old", [rollback(result="Succeeded", fromRevision="old")]),
    "what a Rollback put back": ("old", [rollback(toRevision="old")]),
    "what a Rollback tried": ("old", [rollback(targets=[{"version": "v9", "revision": "old"}])]),
}


@pytest.mark.parametrize("case", KEPT)
async def test_what_is_kept(case):
    name, rollbacks = KEPT[case]
    objects = Listed(revision(name), *rollbacks)

    await Pruning(objects, objects).prune(system())

    assert objects.writes == []


async def test_what_nobody_names_goes():
    objects = Listed(revision("old"), revision("recommender-v12"), rollback(toRevision="other"))

    await Pruning(objects, objects).prune(system())

    assert objects.writes == ["delete old"]


async def test_what_another_owner_made_is_not_ours():
    objects = Listed(revision("old", uid="statefulset-1"))

    await Pruning(objects, objects).prune(system())

    assert objects.writes == []


async def test_nothing_goes_while_a_rollback_holds_the_lock():
    objects = Listed(revision("old"))

    await Pruning(objects, objects).prune(system(active_rollback="r2"))

    assert objects.writes == []


async def test_nothing_goes_of_a_history_that_cannot_be_read():
    objects = Listed(revision("recommender-v12"))
    objects.kept["ModelDeployment", "recommender"]["status"]["history"] = "of a later version of this program"
    entry = SystemEntry(objects.kept["ModelDeployment", "recommender"])

    await Pruning(objects, objects).prune(entry)

    assert entry.unreadable
    assert objects.writes == []


async def test_what_is_stored_counts_and_not_what_was_seen():
    """As after a failover, or when the answer to the last write was lost."""
    objects = Listed(body("v13", "v12", version=8), revision("recommender-v13"), revision("old"))

    await Pruning(objects, objects).prune(system())

    assert objects.writes == ["delete old"]


async def test_a_lock_that_is_stored_and_was_not_seen_counts():
    objects = Listed(body(version=8, active_rollback="r2"), revision("old"))

    await Pruning(objects, objects).prune(system())

    assert objects.writes == []


async def test_nothing_goes_of_a_model_deployment_that_was_made_anew():
    objects = Listed(revision("old"))
    objects.kept["ModelDeployment", "recommender"]["metadata"]["uid"] = "mdep-2"

    await Pruning(objects, objects).prune(system())

    assert objects.writes == []


async def test_a_secret_is_handed_to_what_is_deleted_before_it_is():
    objects = Listed(revision("old", hidden=[{"component": "model"}]), secret("old"))

    await Pruning(objects, objects).prune(system())

    assert objects.writes == ["patch Secret", "delete old"]
    (owner,) = objects.kept["Secret", "old"]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("ControllerRevision", "uid-old")


async def test_what_could_not_be_deleted_is_tried_again():
    objects = Listed(revision("old"), faults=[Unavailable("no answer")])
    pruning = Pruning(objects, objects)

    await pruning.prune(system())
    assert objects.writes == []
    await pruning.prune(system())

    assert objects.writes == ["delete old"]


async def test_a_secret_that_waits_for_its_collection_is_kept_again():
    values = {"model": {"key": Confidential("s3cret", "salt")}}
    objects = Listed()
    entry = system()
    name = await revisions.keep(objects, entry, "v12", values)
    before = objects.kept["Secret", name]["metadata"]["ownerReferences"]
    await revisions.discard(objects, objects.kept["ControllerRevision", name])
    assert objects.kept["Secret", name]["metadata"]["ownerReferences"] != before

    assert await revisions.keep(objects, entry, "v12", values) == name

    assert objects.kept["Secret", name]["metadata"]["ownerReferences"] == before


async def test_a_secret_that_nobody_owns_is_collected_by_nobody_and_left_as_it_is():
    """Somebody took its owner away: that must not keep a version from being kept, and so a rollback from its plan."""
    values = {"model": {"key": Confidential("s3cret", "salt")}}
    objects = Listed()
    entry = system()
    name = await revisions.keep(objects, entry, "v12", values)
    del objects.kept["Secret", name]["metadata"]["ownerReferences"]

    assert await revisions.keep(objects, entry, "v12", values) == name
