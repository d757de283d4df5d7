"""Kept versions that nobody names any more are deleted; those of a history or a Rollback stay."""

from typing import Any

import pytest

from model_rollback.engine.pruning import Pruning
from model_rollback.engine.store import SystemEntry
from model_rollback.errors import Unavailable
from tests.unit.core.builders import make_status, recorded
from tests.unit.engine.kept_objects import KeptObjects


class Listed(KeptObjects):
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


def system(**status: Any) -> SystemEntry:
    written = make_status("v12", recorded("v12"), **status).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    metadata = {"name": "recommender", "namespace": "shop", "uid": "mdep-1", "resourceVersion": "7"}
    return SystemEntry({"metadata": metadata, "spec": {}, "status": written})


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
