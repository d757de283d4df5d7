"""The API server as kubectl asks it, in this process: a test asks hundreds of times.

A process for each question costs more than ten times what the question itself does, on both sides.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.administrator import client

JSON = "application/json"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PATIENCE_SECONDS = 60

Object = dict[str, Any]


class RefusedError(Exception):
    """The API server said no; the message reads like kubectl's. `reason`: in one word, as `NotFound`."""

    def __init__(self, message: str, reason: str = "") -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True)
class Resource:
    """Where the objects of one kind are. `version`: `v1` or `GROUP/VERSION`."""

    version: str
    plural: str
    kind: str
    namespaced: bool


class ApiServer:
    """Asked with the credentials of one kubeconfig; may be used by several threads."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = client(kubeconfig)
        self._known: dict[str, Resource] = {}
        self._learning = threading.Lock()

    def ask(
        self,
        method: str,
        resource: Resource,
        path: str = "",
        *,
        namespace: str | None,
        params: Mapping[str, str] = {},
        body: Mapping[str, Any] | None = None,
        content: str = JSON,
    ) -> Object:
        """The answer to one request; raises RefusedError.

        Args:
            path: `NAME` or `NAME/SUBRESOURCE`; without one it is about all objects of the kind.
            content: what the body is.
        """
        answer = self._api.request(
            method,
            version=resource.version,
            url=f"{resource.plural}/{path}" if path else resource.plural,
            params=dict(params),
            json=body,
            headers={"Content-Type": content},
            **({"namespace": namespace or "default"} if resource.namespaced else {}),
        )
        said: Object = answer.json()
        if not answer.ok:
            raise RefusedError(f"Error from server ({said['reason']}): {said['message']}", said["reason"])
        return said

    def resource(self, kind: str) -> Resource:
        """Of a kind by any of its names, `NAME` or `NAME.GROUP`; raises RefusedError."""
        wanted = kind.lower()
        if wanted not in self._known:
            with self._learning:
                self._known = dict(self._discover())
        if wanted not in self._known:
            raise RefusedError(f'error: the server doesn\'t have a resource type "{kind}"')
        return self._known[wanted]

    def _discover(self) -> Iterator[tuple[str, Resource]]:
        """Every name of every kind, the important ones last: they win."""
        found: list[tuple[str, Resource]] = []
        for root in ("/api", "/apis"):
            answer = self._api.session.get(
                f"{self._api.url}{root}", headers={"Accept": _DISCOVERY}, timeout=_PATIENCE_SECONDS
            )
            answer.raise_for_status()
            for group in answer.json()["items"]:
                found += _names(group)
        return reversed(found)


def _names(group: Object) -> Iterator[tuple[str, Resource]]:
    suffix = group["metadata"].get("name", "")
    preferred = group["versions"][0]
    version = f"{suffix}/{preferred['version']}" if suffix else preferred["version"]
    for entry in preferred["resources"]:
        kind = entry["responseKind"]["kind"]
        resource = Resource(version, entry["resource"], kind, entry["scope"] == "Namespaced")
        names = [entry["resource"], entry["singularResource"], *entry.get("shortNames", ()), kind.lower()]
        for name in dict.fromkeys(filter(None, names)):
            yield name, resource
            if suffix:
                yield f"{name}.{suffix}", resource


@cache
def api_server(kubeconfig: Path) -> ApiServer:
    """One for a kubeconfig, so that its connections are used again."""
    return ApiServer(kubeconfig)
