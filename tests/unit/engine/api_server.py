"""An API server in memory, for what the engine writes: objects, JSON Patches, statuses guarded by resourceVersion."""

import copy
from collections.abc import Callable
from typing import Any

from model_rollback.errors import Conflict, Invalid, NotFound
from model_rollback.ports import JsonPatch, Object, ObjectRef


class Cluster:
    """Implements `ports.Objects`.

    Attributes:
        dry_runs: targets of patches that were dry runs. writes: targets of everything that was written.
        deletions: what was deleted.
        lose: called before a write is answered; may raise what the caller is to see instead of the answer.
    """

    def __init__(self, *objects: tuple[ObjectRef, dict[str, Any]]) -> None:
        self.objects = {ref: copy.deepcopy(body) for ref, body in objects}
        self.dry_runs: list[ObjectRef] = []
        self.writes: list[ObjectRef] = []
        self.deletions: list[ObjectRef] = []
        self.lose: Callable[[], None] = lambda: None

    async def get(self, ref: ObjectRef) -> Object:
        if ref not in self.objects:
            raise NotFound(str(ref))
        return copy.deepcopy(self.objects[ref])

    async def create(self, ref: ObjectRef, body: Object, *, dry_run: bool = False) -> Object:
        if ref in self.objects:
            raise Conflict(str(ref))
        if not dry_run:
            self.writes.append(ref)
            made = dict(copy.deepcopy(body))
            self.objects[ref] = {**made, "metadata": {"uid": f"uid-of-{ref.name}", **made["metadata"]}}
        return body

    async def delete(self, ref: ObjectRef, uid: str, resource_version: str) -> None:
        metadata = self.objects.get(ref, {}).get("metadata", {})
        if (metadata.get("uid"), metadata.get("resourceVersion", "")) == (uid, resource_version):
            del self.objects[ref]
            self.deletions.append(ref)

    async def patch_json(self, ref: ObjectRef, operations: JsonPatch, *, dry_run: bool = False) -> Object:
        patched = apply(operations, await self.get(ref))
        if dry_run:
            self.dry_runs.append(ref)
            return patched
        self._store(ref, patched)
        self.lose()
        return await self.get(ref)

    async def patch_status(self, ref: ObjectRef, status: Object, resource_version: str) -> Object:
        body = dict(await self.get(ref))
        if body["metadata"]["resourceVersion"] != resource_version:
            raise Conflict(f"{ref} moved")
        body["status"] = status
        self._store(ref, body)
        self.lose()
        return await self.get(ref)

    def _store(self, ref: ObjectRef, body: dict[str, Any]) -> None:
        self.writes.append(ref)
        version = int(body["metadata"].get("resourceVersion", "0")) + 1
        body["metadata"] = {**body["metadata"], "resourceVersion": str(version)}
        self.objects[ref] = copy.deepcopy(body)


def apply(operations: JsonPatch, obj: Object) -> dict[str, Any]:
    """RFC 6902 with test, add and replace, as the API server applies it: a failed `test` is Invalid without causes."""
    body: dict[str, Any] = copy.deepcopy(dict(obj))
    for operation in operations:
        *way, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        here: Any = body
        for part in way:
            try:
                here = here[int(part)] if isinstance(here, list) else here[part]
            except (KeyError, IndexError) as error:
                raise Invalid(f"there is no {operation['path']}") from error
        key: Any = int(last) if isinstance(here, list) else last
        if operation["op"] == "test":
            there = here.get(key) if isinstance(here, dict) else here[key]
            if there != operation["value"]:
                raise Invalid(f"test of {operation['path']} failed")
        else:
            here[key] = copy.deepcopy(operation["value"])
    return body
