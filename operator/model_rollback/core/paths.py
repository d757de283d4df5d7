"""Pin paths: `spec.template.spec.containers[name=server].image`, resolved against a live object.

A path is a sequence of parts: keys separated by dots, `["quoted.key"]`, `[key=value]`, which picks the element of a
list whose `key` has that value, `[0]`, and `|yaml` or `|json`, which goes on inside the document that the string held
there is. Resolving gives a JSON Pointer for the write, and the `test`s which make sure that the element is still the
one that was meant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from model_rollback.core.documents import (
    MISSING,
    Format,
    Part,
    PathError,
    Selector,
    as_json,
    index_of,
    load,
    replace,
    same,
    step,
)

__all__ = ["MISSING", "Hop", "Part", "PathError", "Resolved", "Selector", "parse", "resolve"]

_PART: Final = re.compile(
    r"""(?:^|(?!^)\.)(?P<key>[A-Za-z0-9_/-]+)
      | \[(?P<field>[A-Za-z0-9_]+)=(?P<value>[^\]]+)\]
      | \["(?P<quoted>[^"]+)"\]
      | \[(?P<index>[0-9]{1,4})\]
      | \|(?P<form>yaml|json)(?=$|[.\[|])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Hop:
    """`|yaml` or `|json`: from here on the path runs inside the document that the string is."""

    form: Format


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads in one object.

    Attributes:
        pointer: RFC 6901 pointer to the value, or to the string that holds the document with the value.
        selectors: pointer and present value of each field that a selector matched.
        value: what stands there now; MISSING when only the last key is not there.
        stored: what stands at `pointer`: the same, or the whole document as text.
        hops: how the path goes on inside `stored`: a format and the parts after it, for each hop.
    """

    pointer: str
    selectors: tuple[tuple[str, Any], ...]
    value: Any
    stored: Any
    hops: tuple[tuple[Format, tuple[Part, ...]], ...] = ()

    def rewritten(self, stored: Any, value: Any) -> Any:
        """What is to stand at `pointer`, where `stored` does, so that the path leads to `value`.

        Raises:
            PathError: the document does not take it.
        """
        if self.hops and same(self.value, value):
            return stored
        return _rewritten(stored, self.hops, value)


def _rewritten(stored: Any, hops: tuple[tuple[Format, tuple[Part, ...]], ...], value: Any) -> Any:
    if not hops:
        return value
    (form, parts), *deeper = hops
    if deeper:
        inner = load(stored, form)
        for part in parts:
            inner = step(part, inner)
        value = _rewritten(inner, tuple(deeper), value)
    return replace(stored, form, parts, value)


@lru_cache(maxsize=4096)
def parse(path: str) -> tuple[Part | Hop, ...]:
    """Raises PathError for anything that is not a path as a whole."""
    parts: list[Part | Hop] = []
    position = 0
    while position < len(path):
        match = _PART.match(path, position)
        if match is None:
            raise PathError(f"pin path {path!r} cannot be read from {path[position:]!r} on")
        parts.append(_part(match))
        position = match.end()
    if not parts or isinstance(parts[0], Hop):
        raise PathError("a pin path begins with a key")
    return tuple(parts)


def _part(match: re.Match[str]) -> Part | Hop:
    if match["field"]:
        return Selector(match["field"], match["value"])
    if match["index"]:
        return int(match["index"])
    if match["form"]:
        return Hop("yaml" if match["form"] == "yaml" else "json")
    return match["key"] or match["quoted"]


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def resolve(path: str, obj: Mapping[str, Any], *, optional: bool = False) -> Resolved:
    """Follows `path` into `obj`. `optional`: the last key need not be there.

    Raises:
        PathError: a key or element on the way is missing, or a document cannot be read.
    """
    parts = parse(path)
    first_hop = next((i for i, part in enumerate(parts) if isinstance(part, Hop)), len(parts))
    walk = _Walk(path)
    stored = walk.follow(parts[:first_hop], obj, optional=optional and first_hop == len(parts))
    pointer, selectors = walk.pointer, tuple(walk.selectors)
    value, hops = stored, _hops(parts[first_hop:])
    for number, (form, inside) in enumerate(hops):
        last = number == len(hops) - 1
        walk.enter(form)
        try:
            document = load(value, form)
        except PathError as error:
            raise PathError(f"{path}: {walk.pointer}: {error}") from None
        value = walk.follow(inside, document, optional=optional and last)
    try:
        value = value if value is MISSING or not hops else as_json(value)
    except PathError as error:
        raise PathError(f"{path}: {error}") from None
    return Resolved(pointer, selectors, value, stored, hops)


def _hops(parts: tuple[Part | Hop, ...]) -> tuple[tuple[Format, tuple[Part, ...]], ...]:
    hops: list[tuple[Format, list[Part]]] = []
    for part in parts:
        if isinstance(part, Hop):
            hops.append((part.form, []))
        else:
            hops[-1][1].append(part)
    return tuple((form, tuple(inside)) for form, inside in hops)


class _Walk:
    """Follows parts and remembers the way, for pointers and for messages."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pointer = ""
        self.selectors: list[tuple[str, Any]] = []

    def enter(self, form: Format) -> None:
        self.pointer += f"|{form}"

    def follow(self, parts: tuple[Part | Hop, ...], here: Any, *, optional: bool) -> Any:
        for number, part in enumerate(parts):
            if isinstance(part, Hop):
                raise TypeError("hops are followed by resolve")
            last = number == len(parts) - 1
            there = step(part, here)
            if there is MISSING and not (
                optional and last and isinstance(part, str) and isinstance(here, Mapping)
            ):
                raise PathError(self._nowhere(part))
            self._note(part, here, there)
            here = there
        return here

    def _note(self, part: Part, here: Any, there: Any) -> None:
        if isinstance(part, str):
            self.pointer += f"/{_escape(part)}"
            return
        self.pointer += f"/{index_of(part, here)}"
        if isinstance(part, Selector):
            self.selectors.append((f"{self.pointer}/{_escape(part.field)}", there[part.field]))

    def _nowhere(self, part: Part) -> str:
        if isinstance(part, Selector):
            return f"{self.path}: no element at {self.pointer} has {part.field}={part.value}"
        if isinstance(part, int):
            return f"{self.path}: there is no element {part} at {self.pointer or '/'}"
        return f"{self.path}: there is no {part!r} at {self.pointer or '/'}"
