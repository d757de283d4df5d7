"""What `kubectl get -o json` answers, asked in this process: a test that waits looks many times a second."""

from collections.abc import Sequence
from pathlib import Path

from tests.support.asking import Object, api_server

_SELECTOR = "-l"


def get(kubeconfig: Path, kinds: str, *names: str, namespace: str | None, selector: str = "") -> Object:
    """One object if there is one name, else a list; several kinds are separated by commas.

    Raises:
        RefusedError: there is no such kind or object, or the API server refuses.
    """
    server = api_server(kubeconfig)
    resources = [server.resource(kind) for kind in kinds.split(",")]
    if len(resources) == len(names) == 1:
        return _shown(server.ask("GET", resources[0], names[0], namespace=namespace))
    items: list[Object] = []
    for resource in resources:
        if names:
            items += [server.ask("GET", resource, name, namespace=namespace) for name in names]
        else:
            params = {"labelSelector": selector} if selector else {}
            found = server.ask("GET", resource, namespace=namespace, params=params)
            # The items of a list do not name their kind; kubectl adds it.
            items += [{"apiVersion": resource.version, "kind": resource.kind, **o} for o in found["items"]]
    return {"apiVersion": "v1", "kind": "List", "items": [_shown(o) for o in items]}


def _shown(obj: Object) -> Object:
    """kubectl hides who wrote what unless it is asked."""
    obj.get("metadata", {}).pop("managedFields", None)
    return obj


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
