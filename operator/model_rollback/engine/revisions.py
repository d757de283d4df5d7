"""Versions kept whole: one ControllerRevision for each version of a ModelDeployment.

A pruned ReplicaSet then loses nothing, and the bad version can be put back by a Restore. A ControllerRevision is
immutable; its name follows from the values, so making it twice is a conflict that means "it is there".
"""

import contextlib
from typing import Any, Final

from model_rollback.api.group import API_VERSION, LABEL_MODEL_DEPLOYMENT, LABEL_VERSION, label_value
from model_rollback.core.pins import Values, digest, show_all, version_digest
from model_rollback.engine.held import Held
from model_rollback.errors import Conflict
from model_rollback.ports import ObjectRef, Objects

_KIND: Final = "ControllerRevision"
_API: Final = "apps/v1"


async def keep(objects: Objects, owner: Held[Any], version: str, values: Values) -> str:
    """Makes sure that the version's values are kept; gives the name of the ControllerRevision.

    Raises:
        ClusterError: it could not be made.
    """
    identity = version_digest({component: show_all(pins) for component, pins in values.items()})
    # The owner's uid is in the name: what an earlier ModelDeployment of this name left is about to be collected.
    name = f"{owner.ref.name[:200]}-{digest([owner.uid, identity])[:10]}"
    ref = ObjectRef(_API, _KIND, owner.ref.namespace, name)
    body = {
        "apiVersion": _API,
        "kind": _KIND,
        "metadata": {
            "name": name,
            "namespace": owner.ref.namespace,
            "labels": {LABEL_MODEL_DEPLOYMENT: label_value(owner.ref.name), LABEL_VERSION: version},
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": owner.ref.kind, "name": owner.ref.name, "uid": owner.uid}
            ],
        },
        "revision": 1,
        "data": {"version": version, "digest": identity, "values": values},
    }
    with contextlib.suppress(Conflict):
        await objects.create(ref, body)
    return name


async def load(objects: Objects, namespace: str, name: str) -> Values:
    """The values of a kept version.

    Raises:
        NotFound: somebody deleted it.
        ClusterError: it could not be read.
    """
    body = await objects.get(ObjectRef(_API, _KIND, namespace, name))
    values: Values = body["data"]["values"]
    return values
