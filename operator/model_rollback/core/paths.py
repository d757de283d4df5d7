"""Pin paths: `spec.template.spec.containers[name=server].image`, resolved against a live object.

A path is a sequence of parts: keys separated by dots, `["quoted.key"]`, and `[key=value]`, which picks the element of
a list whose `key` has that value. Resolving gives a JSON Pointer for the write, and the `test`s which make sure that
the element is still the one that was meant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_PART: Final = re.compile(
    r"""(?:^|(?!^)\.)(?P<key>[A-Za-z0-9_/-]+)|\[(?P<field>[A-Za-z0-9_]+)=(?P<value>[^\]]+)\]|\["(?P<quoted>[^"]+)"\]"""
)


class PathError(ValueError):
    """The path is malformed, or leads nowhere in this object; the message says where it stopped."""


@dataclass(frozen=True, slots=True)
class Selector:
    """`[field=value]`."""

    field: str
    value: str


Part = str | Selector


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads in one object.

    Attributes:
        pointer: RFC 6901 pointer to the value.
        selectors: pointer and present value of each field that a selector matched.
        value: what stands there now.
    """

    pointer: str
    selectors: tuple[tuple[str, Any], ...]
    value: Any


def parse(path: str) -> tuple[Part, ...]:
    """Raises PathError for anything that is not a path as a whole."""
    parts: list[Part] = []
    position = 0
    while position < len(path):
        match = _PART.match(path, position)
        if match is None:
            raise PathError(f"pin path {path!r} cannot be read from {path[position:]!r} on")
        if match["field"]:
            parts.append(Selector(match["field"], match["value"]))
        else:
            parts.append(match["key"] or match["quoted"])
        position = match.end()
    if not parts:
        raise PathError("a pin path cannot be empty")
    return tuple(parts)


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def resolve(path: str, obj: Mapping[str, Any]) -> Resolved:
    """Follows `path` into `obj`.

    Raises:
        PathError: a key or element on the way is missing.
    """
    pointer = ""
    here: Any = obj
    selectors: list[tuple[str, Any]] = []
    for part in parse(path):
        if isinstance(part, str):
            if not isinstance(here, Mapping) or part not in here:
                raise PathError(f"{path}: there is no {part!r} at {pointer or '/'}")
            pointer, here = f"{pointer}/{_escape(part)}", here[part]
            continue
        index = _find(part, here)
        if index is None:
            raise PathError(f"{path}: no element at {pointer} has {part.field}={part.value}")
        pointer, here = f"{pointer}/{index}", here[index]
        selectors.append((f"{pointer}/{_escape(part.field)}", here[part.field]))
    return Resolved(pointer, tuple(selectors), here)


def _find(selector: Selector, items: Any) -> int | None:
    if not isinstance(items, list):
        return None
    for index, item in enumerate(items):
        if isinstance(item, Mapping) and str(item.get(selector.field, "")) == selector.value:
            return index
    return None
