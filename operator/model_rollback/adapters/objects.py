"""Single objects of any kind through the official async client: JSON in, JSON out, no generated models."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from model_rollback.adapters.connection import Connection
from model_rollback.api.group import FIELD_MANAGER
from model_rollback.errors import Conflict, NotFound, Refused
from model_rollback.ports import JsonPatch, Object, ObjectRef

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_API_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?")
_JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class Resource:
    """How a kind stands in URLs."""

    plural: str
    namespaced: bool


class Paths:
    """Finds the URL of a kind by discovery, one request per group and version, remembered.

    A kind that is not found is looked for again next time, because its CRD may come later.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], Resource] = {}

    async def collection(self, api_version: str, kind: str, namespace: str | None) -> str:
        """The path of all objects of that kind in `namespace`; None: in the cluster.

        Raises:
            NotFound: the API server does not serve that kind.
            Refused: a name that may not stand in a URL, or a kind of the whole cluster.
        """
        if not _API_VERSION.fullmatch(api_version):
            raise Refused(f"{api_version!r} is not an apiVersion such as apps/v1")
        resource = await self._resource(api_version, kind)
        if not resource.namespaced:
            raise Refused(
                f"{kind} of {api_version} is not namespaced: nothing outside a namespace is touched"
            )
        root = _root(api_version)
        if namespace is None:
            return f"{root}/{resource.plural}"
        if not _LABEL.fullmatch(namespace):
            raise Refused(f"{namespace!r} is not the name of a namespace")
        return f"{root}/namespaces/{quote(namespace)}/{resource.plural}"

    async def plural(self, api_version: str, kind: str) -> str:
        """What the kind is called in URLs. Raises as `collection`."""
        await self.collection(api_version, kind, None)
        return self._known[api_version, kind].plural

    async def object(self, ref: ObjectRef) -> str:
        """The path of one object. Raises as `collection`."""
        if len(ref.name) > 253 or not _SUBDOMAIN.fullmatch(ref.name):
            raise Refused(f"{ref.name!r} is not the name of a {ref.kind}")
        collection = await self.collection(ref.api_version, ref.kind, ref.namespace)
        return f"{collection}/{quote(ref.name)}"

    async def _resource(self, api_version: str, kind: str) -> Resource:
        if (api_version, kind) not in self._known:
            found = await self._discover(api_version)
            self._known.update({(api_version, name): resource for name, resource in found.items()})
        try:
            return self._known[api_version, kind]
        except KeyError:
            raise NotFound(
                f"the API server serves no kind {kind} in {api_version}; is its CRD installed?"
            ) from None

    async def _discover(self, api_version: str) -> dict[str, Resource]:
        answer = await self._connection.request("GET", _root(api_version), what=f"discover {api_version}")
        return {
            str(entry["kind"]): Resource(str(entry["name"]), bool(entry.get("namespaced")))
            for entry in answer.get("resources") or ()
            if "/" not in entry["name"]
        }


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


class ClusterObjects:
    """`Objects` on a real API server, every write under this operator's field manager.

    `user`: who does it, by impersonation; the API server fills in the groups. Empty: the operator itself.
    """

    def __init__(self, connection: Connection, paths: Paths | None = None, *, user: str = "") -> None:
        self._connection = connection
        self._headers = {"Impersonate-User": user} if user else {}
        self._paths = paths or Paths(connection)

    async def get(self, ref: ObjectRef) -> Object:
        """See `ports.Objects`. No `resourceVersion` is sent: that is a read of the newest state."""
        return await self._send("GET", ref, await self._paths.object(ref), "get")

    async def plural(self, api_version: str, kind: str) -> str:
        """See `ports.Objects`."""
        return await self._paths.plural(api_version, kind)

    async def create(self, ref: ObjectRef, body: Object, *, dry_run: bool = False) -> Object:
        """See `ports.Objects`. `ref` wins over what `body` says of kind and name."""
        await self._paths.object(ref)
        whole = {
            **body,
            "apiVersion": ref.api_version,
            "kind": ref.kind,
            "metadata": {**body.get("metadata", {}), "name": ref.name, "namespace": ref.namespace},
        }
        path = await self._paths.collection(ref.api_version, ref.kind, ref.namespace)
        return await self._send("POST", ref, path, "create", whole, query=_write(dry_run=dry_run))

    async def patch_json(self, ref: ObjectRef, operations: JsonPatch, *, dry_run: bool = False) -> Object:
        """See `ports.Objects`."""
        return await self._send(
            "PATCH",
            ref,
            await self._paths.object(ref),
            "patch",
            [dict(operation) for operation in operations],
            query=_write(dry_run=dry_run),
            content_type=_JSON_PATCH,
        )

    async def patch_status(self, ref: ObjectRef, status: Object, resource_version: str) -> Object:
        """See `ports.Objects`. Needs the verb `patch` on the kind's `/status` and nothing else.

        The resourceVersion is written rather than tested: so a lost race is a true 409, not a 422 that looks
        like a broken schema.
        """
        operations = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/status", "value": dict(status)},
        ]
        return await self._send(
            "PATCH",
            ref,
            f"{await self._paths.object(ref)}/status",
            "write the status of",
            operations,
            query=_write(dry_run=False),
            content_type=_JSON_PATCH,
        )

    async def delete(self, ref: ObjectRef, uid: str, resource_version: str) -> None:
        """See `ports.Objects`."""
        as_seen = {"uid": uid, "resourceVersion": resource_version}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": as_seen}
        with contextlib.suppress(NotFound, Conflict):
            await self._send("DELETE", ref, await self._paths.object(ref), "delete", options)

    async def _send(
        self,
        method: str,
        ref: ObjectRef,
        path: str,
        verb: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        answer: Object = await self._connection.request(
            method,
            path,
            what=f"{verb} {ref}",
            query=query,
            body=body,
            content_type=content_type,
            headers=self._headers,
        )
        return answer


def _write(*, dry_run: bool) -> dict[str, str]:
    query = {"fieldManager": FIELD_MANAGER}
    return {**query, "dryRun": "All"} if dry_run else query
