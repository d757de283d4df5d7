"""An API server in memory, as far as steps need one: JSON Patches with their `test`s, and prepared faults."""

import copy
from collections.abc import Callable
from typing import Any

from model_rollback.errors import ClusterError, Conflict, Invalid, NotFound
from model_rollback.ports import JsonPatch, Object, ObjectRef

Fault = ClusterError | Callable[["KeptObjects"], None]
"""Raised instead of an answer; or something that happens just before the request is served."""


class KeptObjects:
    """`faults` are taken by writes, one each. `writes`: what was really stored, in order.

    `lost`: raised instead of the answer to the next write that is stored.
    """

    def __init__(self, *objects: dict[str, Any], faults: list[Fault | None] | None = None) -> None:
        self.kept = {(o["kind"], o["metadata"]["name"]): copy.deepcopy(o) for o in objects}
        self.faults = faults or []
        self.lost: ClusterError | None = None
        self.writes: list[str] = []

    async def get(self, ref: ObjectRef) -> Object:
        return copy.deepcopy(self._find(ref))

    async def create(self, ref: ObjectRef, body: Object, *, dry_run: bool = False) -> Object:
        self._fault()
        if (ref.kind, ref.name) in self.kept:
            raise Conflict(f"{ref} exists")
        if not dry_run:
            self.kept[ref.kind, ref.name] = _with_uid(body)
            self._stored(f"create {ref.kind}")
        return body

    async def patch_json(self, ref: ObjectRef, operations: JsonPatch, *, dry_run: bool = False) -> Object:
        self._fault()
        obj = copy.deepcopy(self._find(ref))
        for operation in operations:
            _apply(obj, operation)
        if not dry_run:
            self.kept[ref.kind, ref.name] = obj
            self._stored(f"patch {ref.kind}")
        return obj

    async def patch_status(self, ref: ObjectRef, status: Object, resource_version: str) -> Object:
        raise NotImplementedError

    async def delete(self, ref: ObjectRef, uid: str, resource_version: str) -> None:
        self._fault()
        metadata = self.kept.get((ref.kind, ref.name), {}).get("metadata", {})
        if (metadata.get("uid"), metadata.get("resourceVersion", "")) == (uid, resource_version):
            del self.kept[ref.kind, ref.name]
            self.writes.append(f"delete {ref.name}")

    def _find(self, ref: ObjectRef) -> dict[str, Any]:
        try:
            return self.kept[ref.kind, ref.name]
        except KeyError:
            raise NotFound(f"{ref} not found") from None

    def _fault(self) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, ClusterError):
            raise fault
        if fault is not None:
            fault(self)

    def _stored(self, what: str) -> None:
        self.writes.append(what)
        if self.lost is not None:
            lost, self.lost = self.lost, None
            raise lost


def _with_uid(body: Object) -> dict[str, Any]:
    made = copy.deepcopy(dict(body))
    made["metadata"].setdefault("uid", f"uid-of-{made['metadata']['name']}")
    return made


def _apply(obj: dict[str, Any], operation: Any) -> None:
    *parents, last = (p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:])
    place: Any = obj
    for key in parents:
        try:
            place = place[int(key)] if isinstance(place, list) else place[key]
        except (KeyError, IndexError):
            raise Invalid("the server rejected our request due to an error in our request") from None
    if operation["op"] == "test":
        if place.get(last) != operation["value"]:
            raise Invalid("the server rejected our request due to an error in our request")
    else:
        place[last] = copy.deepcopy(operation["value"])
