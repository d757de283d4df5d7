"""Who wrote which fields of an object, from the `managedFields` that the API server keeps.

`fieldsV1` is a tree: `f:<key>` for a field, `k:{"name":"server"}` for a list's element by its keys, `i:<n>` by its
place, `v:<value>` by its value, and `.` for the thing itself.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from model_rollback.api.v1alpha1.model_deployment_status import Author
from model_rollback.core.documents import Part, Selector
from model_rollback.core.kinds import TargetType
from model_rollback.core.paths import Hop, parse
from model_rollback.presets.kinds import PinPreset

MOST = 16
Fields = Mapping[str, Any]
Path = tuple[str, ...]
"""The way to one owned value, its parts as `fieldsV1` writes them."""


def entries(obj: Mapping[str, Any]) -> Iterator[tuple[str, datetime, Fields]]:
    """Manager, time and fields of each entry that is not about a subresource. Total: what is odd is left out."""
    for entry in obj["metadata"].get("managedFields") or ():
        fields, manager, at = entry.get("fieldsV1"), entry.get("manager"), entry.get("time")
        if isinstance(fields, Mapping) and manager and at and not entry.get("subresource"):
            yield str(manager)[:128], datetime.fromisoformat(str(at)), fields


def authors(kind: TargetType, obj: Mapping[str, Any]) -> list[Author]:
    """Who wrote the pinned fields of `obj` as they are now, newest first."""
    found: dict[str, datetime] = {}
    for manager, at, fields in entries(obj):
        if any(_owns(pin, fields) for pin in kind.pins):
            found[manager] = max(at, found.get(manager, at))
    return join([Author(manager=manager, at=at) for manager, at in found.items()])


def last_written(obj: Mapping[str, Any], manager: str) -> datetime | None:
    """When that manager wrote last, by the clock of the API server (seconds); None when it owns nothing."""
    return max((at for name, at, _ in entries(obj) if name == manager), default=None)


def join(given: list[Author]) -> list[Author]:
    """Each manager once, with its newest time; newest first."""
    newest: dict[str, Author] = {}
    for author in sorted(given, key=lambda a: a.at):
        newest[author.manager] = author
    return sorted(newest.values(), key=lambda a: (a.at, a.manager), reverse=True)[:MOST]


def _owns(pin: PinPreset, fields: Fields) -> bool:
    """Whether something of the pin's value is in `fields`; annotations that make no version do not count."""
    owned = follow(pin, fields)
    if owned is None or not pin.is_pod_template:
        return owned is not None
    return any(_counts(path, pin) for path in leaves(owned))


def follow(pin: PinPreset, fields: Fields) -> Fields | None:
    """What of the pin's value is owned; None when nothing is. What holds the whole list or document holds the pin."""
    here: Fields = fields
    for part in parse(pin.path):
        if isinstance(part, Hop):
            return here
        following = _child(here, part)
        if following is None:
            return here if _is_whole(here) and here is not fields else None
        here = following
    return here


def _child(here: Fields, part: Part) -> Fields | None:
    if isinstance(part, str):
        return here.get(f"f:{part}")
    if isinstance(part, int):
        return here.get(f"i:{part}")
    return next((child for key, child in here.items() if _is_element(key, part)), None)


def _is_element(key: str, selector: Selector) -> bool:
    if not key.startswith("k:"):
        return False
    try:
        keys = json.loads(key[2:])
    except ValueError:
        return False
    return isinstance(keys, dict) and str(keys.get(selector.field)) == selector.value


def _is_whole(here: Fields) -> bool:
    """An empty tree is a value that is owned as a whole."""
    return not here


def leaves(fields: Fields, path: Path = ()) -> Iterator[Path]:
    """The paths of all owned values."""
    inner = {key: child for key, child in fields.items() if key != "."}
    if not inner:
        yield path
        return
    for key, child in inner.items():
        yield from leaves(child if isinstance(child, Mapping) else {}, (*path, key))


def value_at(obj: Mapping[str, Any], path: Path) -> Any:
    """What stands there in the object; None where there is nothing."""
    here: Any = obj
    for part in path:
        form, _, name = part.partition(":")
        if isinstance(here, Mapping):
            here = here.get(name) if form == "f" else None
        elif isinstance(here, list):
            here = next((element for at, element in enumerate(here) if _is_at(form, name, at, element)), None)
        else:
            return None
    return here


def _is_at(form: str, name: str, at: int, element: Any) -> bool:
    if form == "i":
        return name == str(at)
    try:
        wanted = json.loads(name)
    except ValueError:
        return False
    if form == "k" and isinstance(wanted, dict) and isinstance(element, Mapping):
        return all(element.get(key) == value for key, value in wanted.items())
    return form == "v" and bool(element == wanted)


def _counts(path: Path, pin: PinPreset) -> bool:
    if path[:2] != ("f:metadata", "f:annotations") or len(path) < 3:
        return bool(path) and path != ("f:metadata",)
    name = path[2].removeprefix("f:")
    return name not in pin.ignore_annotations and not name.startswith(tuple(pin.ignore_annotation_prefixes))
