"""What `kubectl get -o json` answers, asked in this process: a test that waits looks many times a second.

A process for each look costs more than ten times what the look itself does, on both sides.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import requests

from tests.support.administrator import client

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PATIENCE_SECONDS = 60
_SELECTOR = "-l"

Object = dict[str, Any]


class RefusedError(Exception):
    """The API server said no; the message reads like kubectl's."""


@dataclass(frozen=True)
class Resource:
    """Where the objects of one kind are. `version`: `v1` or `GROUP/VERSION`."""

    version: str
    plural: str
    kind: str
    namespaced: bool


class Reader:
    """Reads objects with the credentials of one kubeconfig; may be used by several threads."""

    def __init__(self, kubeconfig: Path) -> None:
        self.api = client(kubeconfig)
        self._known: dict[str, Resource] = {}
        self._learning = threading.Lock()

    def get(self, kinds: str, *names: str, namespace: str | None, selector: str = "") -> Object:
        """One object if there is one name, else a list; several kinds are separated by commas.

        Raises:
            RefusedError: there is no such kind or object, or the API server refuses.
        """
        resources = [self.resource(kind) for kind in kinds.split(",")]
        if len(resources) == len(names) == 1:
            return _shown(self._ask(resources[0], namespace, names[0]))
        items: list[Object] = []
        for resource in resources:
            if names:
                items += [self._ask(resource, namespace, name) for name in names]
            else:
                found = self._ask(resource, namespace, params={"labelSelector": selector} if selector else {})
                # The items of a list do not name their kind; kubectl adds it.
                items += [
                    {"apiVersion": resource.version, "kind": resource.kind, **o} for o in found["items"]
                ]
        return {"apiVersion": "v1", "kind": "List", "items": [_shown(o) for o in items]}

    def _ask(
        self, resource: Resource, namespace: str | None, name: str = "", params: Mapping[str, str] = {}
    ) -> Object:
        where = {"namespace": namespace or "default"} if resource.namespaced else {}
        url = f"{resource.plural}/{name}" if name else resource.plural
        answer = self.api.get(version=resource.version, url=url, params=dict(params), **where)
        body: Object = answer.json()
        if answer.status_code != requests.codes.ok:
            raise RefusedError(f"Error from server ({body['reason']}): {body['message']}")
        return body

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
            answer = self.api.session.get(
                f"{self.api.url}{root}", headers={"Accept": _DISCOVERY}, timeout=_PATIENCE_SECONDS
            )
            answer.raise_for_status()
            for group in answer.json()["items"]:
                found += _names(group)
        return reversed(found)


def _shown(obj: Object) -> Object:
    """kubectl hides who wrote what unless it is asked."""
    obj.get("metadata", {}).pop("managedFields", None)
    return obj


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
def reader(kubeconfig: Path) -> Reader:
    """One for a kubeconfig, so that its connections are used again."""
    return Reader(kubeconfig)


def as_read(words: Sequence[str]) -> tuple[str, tuple[str, ...], str] | None:
    """(kinds, names, selector) of `get KINDS NAMES… [-lSELECTOR]`; None if the words say anything else."""
    match words:
        case ["get", kinds, *rest] if "/" not in kinds:
            options = [word for word in rest if word.startswith("-")]
            names = tuple(word for word in rest if not word.startswith("-"))
            if not options:
                return kinds, names, ""
            if len(options) == 1 and options[0].startswith(_SELECTOR) and not names:
                return kinds, (), options[0].removeprefix(_SELECTOR)
    return None
