"""An object of ours as this process holds it, and the one way its status is written.

There is one writer per object (this process), one write at a time, each guarded by `resourceVersion`. A write that
would change nothing is not made: an idle policy costs no request.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import ValidationError

from model_rollback.api.group import API_VERSION
from model_rollback.api.types import StatusModel
from model_rollback.api.wire import written
from model_rollback.errors import Conflict, NotFound, Unavailable
from model_rollback.ports import Object, ObjectRef, Objects

S = TypeVar("S", bound=StatusModel)
_TRIES = 8


def is_newer(candidate: str, known: str) -> bool:
    """Whether resource version `candidate` is newer; the API server promises decimal numbers that grow."""
    return not known or int(candidate or 0) > int(known)


class Held(Generic[S]):
    """One object's identity, generation and status, never older than what was last read or written.

    Attributes:
        key: (namespace, name).
        unreadable: why the status could not be understood; such an object is neither acted upon nor written.
    """

    def __init__(self, kind: str, status_type: type[S], body: Object) -> None:
        metadata = body["metadata"]
        self.key = (metadata["namespace"], metadata["name"])
        self.ref = ObjectRef(API_VERSION, kind, *self.key)
        self.status_type = status_type
        self.writing = asyncio.Lock()
        self.resource_version = ""
        self.uid = ""
        self.generation = 0
        self.unreadable = ""
        self.status: S = status_type()
        self.adopt(body)

    def adopt(self, body: Object) -> bool:
        """Takes over a newer state of the object; False when it is not newer."""
        metadata = body["metadata"]
        version = str(metadata.get("resourceVersion", ""))
        if metadata.get("uid", "") == self.uid and not is_newer(version, self.resource_version):
            return False
        try:
            status, unreadable = self.status_type.model_validate(body.get("status") or {}), ""
        except ValidationError as error:
            status, unreadable = (
                self.status_type(),
                f"its status cannot be read by this version: {error}"[:500],
            )
        known = (self.uid, self.generation, self.unreadable)
        self.resource_version, self.uid = version, metadata.get("uid", "")
        self.generation = metadata.get("generation", 0)
        self.status, self.unreadable = status, unreadable
        # The API server counts every change of a spec; a status write of ours brings the same one back.
        if not self.generation or known != (self.uid, self.generation, unreadable):
            self.adopt_spec(body)
        return True

    def adopt_spec(self, body: Object) -> None:
        """For subclasses that hold more than the status."""

    @property
    def regarding(self) -> dict[str, Any]:
        """The object as Events name it."""
        return named(self.ref, self.uid)


def named(ref: ObjectRef, uid: str) -> dict[str, Any]:
    """An object as Events name it: its kind and the metadata that identifies it."""
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"namespace": ref.namespace, "name": ref.name, "uid": uid},
    }


async def write_status(objects: Objects, held: Held[S], change: Callable[[S], S]) -> S:
    """Writes `change(status)` unless it changes nothing; reads again and decides again on a conflict.

    `change` may be called several times and may raise to give up.

    Raises:
        NotFound: the object is gone, asked for once more, because what follows from that cannot be taken back; or
            another object has its name now.
        ClusterError: the API server refused or could not be reached; the held status is then unchanged.
    """
    async with held.writing:
        for _ in range(_TRIES):
            if held.unreadable:
                return held.status
            wanted = change(held.status)
            if wanted == held.status:
                return held.status
            body = written(wanted)
            try:
                held.adopt(await objects.patch_status(held.ref, body, held.resource_version))
            except Conflict:
                _adopt_own(held, await objects.get(held.ref))
            except NotFound as error:
                await _confirm_gone(objects, held, error)
            else:
                return held.status
        raise Conflict(f"{held.ref} was changed by others {_TRIES} times while its status was to be written")


def _adopt_own(held: Held[Any], found: Object) -> None:
    """What was decided for one object is not written to another one that has its name."""
    if found["metadata"]["uid"] != held.uid:
        raise NotFound(f"{held.ref} was deleted, and made anew")
    held.adopt(found)


async def _confirm_gone(objects: Objects, held: Held[Any], error: NotFound) -> NoReturn:
    """A 404 for an object that is there, as while its kind is not served for a moment, is an unknown outcome."""
    body = await objects.get(held.ref)
    if body["metadata"]["uid"] != held.uid:
        raise error
    raise Unavailable(f"{error}; yet {held.ref} is there") from error
