"""One object of ours, whose status is written against what is there: newer, the same, or another of that name."""

import pytest

from model_rollback.engine.held import write_status
from model_rollback.engine.store import SystemEntry
from model_rollback.errors import NotFound
from model_rollback.ports import ObjectRef
from tests.unit.api.objects import MODEL_DEPLOYMENT, with_fields
from tests.unit.engine.api_server import Cluster

SYSTEM = ObjectRef("modelrollback.dev/v1alpha1", "ModelDeployment", "shop", "recommender")


def system(uid: str, resource_version: str, version: str):
    metadata = {"name": "recommender", "namespace": "shop", "uid": uid, "resourceVersion": resource_version}
    return with_fields(MODEL_DEPLOYMENT, {"metadata": metadata, "status": {"currentVersion": version}})


def lock(status):
    return status.model_copy(update={"active_rollback": "recommender-1a2b3c4d5e"})


async def test_a_status_that_somebody_else_changed_is_decided_upon_again():
    objects = Cluster((SYSTEM, system("first", "9", "v14")))

    written = await write_status(objects, SystemEntry(system("first", "7", "v13")), lock)

    assert (written.active_rollback, written.current_version) == ("recommender-1a2b3c4d5e", "v14")


async def test_what_was_decided_for_a_deleted_object_is_not_written_to_its_successor():
    objects = Cluster((SYSTEM, system("second", "9", "v1")))
    held = SystemEntry(system("first", "7", "v13"))

    with pytest.raises(NotFound, match="made anew"):
        await write_status(objects, held, lock)

    assert objects.writes == []
    assert (held.uid, held.status.current_version) == ("first", "v13")
