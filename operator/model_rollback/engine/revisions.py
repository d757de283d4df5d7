"""Versions kept whole: one ControllerRevision for each version of a ModelDeployment.

A pruned ReplicaSet then loses nothing, and the bad version can be put back by a Restore. What Secrets hold is kept in a
Secret of the same name beside it. Both are immutable; the name follows from the values, so making one twice is a
conflict that means "it is there".
"""

import base64
import contextlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from model_rollback.api.group import API_VERSION, GROUP, LABEL_MODEL_DEPLOYMENT, LABEL_VERSION, label_value
from model_rollback.core.confidential import Confidential
from model_rollback.core.pins import Values, digest, identity_of
from model_rollback.engine.held import Held
from model_rollback.errors import Conflict, NotFound
from model_rollback.ports import Object, ObjectRef, Objects

KIND: Final = "ControllerRevision"
API: Final = "apps/v1"
_SECRET_TYPE: Final = f"{GROUP}/version"


def name_of(owner: Held[Any], values: Values) -> str:
    """The name under which a version with these values is kept."""
    # The owner's uid is in it: what an earlier ModelDeployment of this name left is about to be collected.
    return f"{owner.ref.name[:200]}-{digest([owner.uid, identity_of(values)])[:10]}"


Beside = Mapping[str, Mapping[str, str]]
"""Component → field of its target that is no part of the version → a digest of what stood there."""


async def keep(
    objects: Objects, owner: Held[Any], version: str, values: Values, beside: Beside = MappingProxyType({})
) -> str:
    """Makes sure that the version's values are kept; gives the name of the ControllerRevision.

    Raises:
        ClusterError: it could not be made.
    """
    identity, name = identity_of(values), name_of(owner, values)
    metadata = {
        "name": name,
        "namespace": owner.ref.namespace,
        "labels": {LABEL_MODEL_DEPLOYMENT: label_value(owner.ref.name), LABEL_VERSION: version},
        "ownerReferences": [
            {"apiVersion": API_VERSION, "kind": owner.ref.kind, "name": owner.ref.name, "uid": owner.uid}
        ],
    }
    hidden = [
        (c, pin, v) for c, pins in values.items() for pin, v in pins.items() if isinstance(v, Confidential)
    ]
    if hidden:
        await _keep_hidden(objects, metadata, hidden)
    body = {
        "metadata": metadata,
        "revision": 1,
        "data": {
            "version": version,
            "digest": identity,
            "values": {
                c: {pin: v for pin, v in pins.items() if not isinstance(v, Confidential)}
                for c, pins in values.items()
            },
            "hidden": [{"component": c, "pin": pin, "salt": v.salt} for c, pin, v in hidden],
            "beside": {c: dict(fields) for c, fields in beside.items()},
        },
    }
    with contextlib.suppress(Conflict):
        await objects.create(ObjectRef(API, KIND, owner.ref.namespace, name), body)
    return name


async def _keep_hidden(
    objects: Objects, metadata: Mapping[str, Any], hidden: Sequence[tuple[str, str, Confidential]]
) -> None:
    ref = ObjectRef("v1", "Secret", metadata["namespace"], metadata["name"])
    body = {
        "metadata": metadata,
        "type": _SECRET_TYPE,
        "immutable": True,
        "data": {
            f"{component}.{pin}": base64.b64encode(json.dumps(value.value).encode()).decode()
            for component, pin, value in hidden
        },
    }
    try:
        await objects.create(ref, body)
    except Conflict:
        await _take_back(objects, ref, body)


async def _take_back(objects: Objects, ref: ObjectRef, body: Object) -> None:
    """The Secret of a version that was discarded a moment ago is there until it is collected: it is kept again."""
    wanted, path = body["metadata"]["ownerReferences"], "/metadata/ownerReferences"
    try:
        found = await objects.get(ref)
        owners = found["metadata"].get("ownerReferences") or []
        if found.get("type") != _SECRET_TYPE or not owners or _uids(owners) == _uids(wanted):
            return
        operations = [
            {"op": "test", "path": path, "value": owners},
            {"op": "replace", "path": path, "value": wanted},
        ]
        await objects.patch_json(ref, operations)
    except NotFound:
        await objects.create(ref, body)


def _uids(owners: Sequence[Mapping[str, Any]]) -> list[str]:
    return [owner["uid"] for owner in owners]


async def find_missing(objects: Objects, namespace: str, name: str) -> str:
    """What is missing of a version that is kept under that name; empty when it is there, or when `name` is empty.

    Raises:
        ClusterError: the API server could not be asked.
    """
    if not name:
        return ""
    try:
        await load(objects, namespace, name)
    except NotFound as error:
        return f"its kept values are gone: {error}"
    return ""


async def load(objects: Objects, namespace: str, name: str) -> Values:
    """The values of a kept version.

    Raises:
        NotFound: somebody deleted it, or what it keeps in a Secret.
        ClusterError: it could not be read.
    """
    body = await objects.get(ObjectRef(API, KIND, namespace, name))
    values: dict[str, dict[str, Any]] = {c: dict(pins) for c, pins in body["data"]["values"].items()}
    hidden = body["data"].get("hidden") or ()
    if not hidden:
        return values
    secret = await objects.get(ObjectRef("v1", "Secret", namespace, name))
    for entry in hidden:
        component, pin = entry["component"], entry["pin"]
        try:
            value = json.loads(base64.b64decode(secret["data"][f"{component}.{pin}"]))
        except (KeyError, TypeError, ValueError):
            raise NotFound(f"Secret {namespace}/{name} does not keep {component}.{pin} any more") from None
        values.setdefault(component, {})[pin] = Confidential(value, entry["salt"])
    return values


async def load_beside(objects: Objects, namespace: str, name: str) -> Beside:
    """What stood beside a version when it was recorded; empty where nothing is known of it.

    Raises:
        ClusterError: it could not be read.
    """
    if not name:
        return {}
    try:
        body = await objects.get(ObjectRef(API, KIND, namespace, name))
    except NotFound:
        return {}
    found = (body.get("data") or {}).get("beside")
    return {c: f for c, f in found.items() if isinstance(f, Mapping)} if isinstance(found, Mapping) else {}


async def discard(objects: Objects, revision: Object) -> None:
    """Deletes a kept version. Its Secret is handed over to it first: garbage collection deletes the two together.

    Raises:
        ClusterError: it could not be deleted, or not yet.
    """
    metadata = revision["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    if (revision.get("data") or {}).get("hidden"):
        owner = {"apiVersion": API, "kind": KIND, "name": name, "uid": metadata["uid"]}
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/type", "value": _SECRET_TYPE},
            {"op": "replace", "path": "/metadata/ownerReferences", "value": [owner]},
        ]
        with contextlib.suppress(NotFound):
            await objects.patch_json(ObjectRef("v1", "Secret", namespace, name), operations)
    ref = ObjectRef(API, KIND, namespace, name)
    await objects.delete(ref, metadata["uid"], str(metadata.get("resourceVersion", "")))
