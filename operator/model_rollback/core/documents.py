"""Documents held in a string: RayService's `serveConfigV2`, a ConfigMap's keys. Read a value, replace one.

A scalar is replaced where it stands, so comments, order and quoting of everything else stay as they are. Where that
cannot be done (a list or a map, a key that was not there, a value shared through an anchor) the document is written
anew: the meaning of the rest is kept, its comments and its layout are not. Either way the result is read back and
compared before it is handed out. YAML is read as version 1.1, as PyYAML and Go's libraries do.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

Format = Literal["yaml", "json"]

MAX_SIZE: Final = 256 * 1024
_MAX_NODES: Final = 100_000
_MAX_DEPTH: Final = 100
_TOO_DEEP: Final = f"a document nested deeper than {_MAX_DEPTH} levels is not read"
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PathError(ValueError):
    """The path is malformed, or leads nowhere in this object; the message says where it stopped."""


@dataclass(frozen=True, slots=True)
class Selector:
    """`[field=value]`."""

    field: str
    value: str


Part = str | int | Selector
"""A key of a map, an index of a list, or the element of a list that a selector picks."""


class _Missing:
    """Stands for a value that is not there."""


MISSING: Final = _Missing()


def load(text: Any, form: Format) -> Any:
    """What the document says. Dates and other things that JSON does not know may be in it.

    Raises:
        PathError: not such a document, more than one, or one that is too large; its content is never quoted.
    """
    if not isinstance(text, str):
        raise PathError(f"there is no text that could be {form}")
    if len(text) > MAX_SIZE:
        raise PathError(f"a document of {len(text)} characters is too large; {MAX_SIZE} are read")
    try:
        if form == "json":
            return _refuse_depth(json.loads(text))
        node = yaml.compose(text, Loader=_LOADER)
        if node is not None:
            _refuse_bombs(node)
        return _refuse_depth(yaml.load(text, Loader=_LOADER))  # noqa: S506 - the safe loader, written in C where there is one
    except json.JSONDecodeError as error:
        raise PathError(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark is not None else ""
        raise PathError(f"not one YAML document: {error.problem}{where}") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        if isinstance(error, PathError):
            raise
        raise PathError(f"not one {form} document") from None
    except RecursionError:
        raise PathError(_TOO_DEEP) from None


def _refuse_depth(document: Any) -> Any:
    """The document. How deep a parser goes differs between versions of Python; whoever walks it must not fall."""
    level, depth = [document], 0
    while level:
        if depth > _MAX_DEPTH:
            raise PathError(_TOO_DEEP)
        inner = [
            here.values() if isinstance(here, dict) else here
            for here in level
            if isinstance(here, dict | list)
        ]
        level, depth = [value for values in inner for value in values], depth + 1
    return document


def _refuse_bombs(root: yaml.Node) -> None:
    """A few aliases of aliases can stand for billions of values."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known is not None:
            if known == 0:
                raise PathError("a document that contains itself is not read")
            return known
        sizes[id(node)] = 0
        total = 1
        for child in node.value if isinstance(node, yaml.SequenceNode | yaml.MappingNode) else ():
            total += sum(size(c) for c in child) if isinstance(child, tuple) else size(child)
        if total > _MAX_NODES:
            raise PathError(f"a document of more than {_MAX_NODES} values is not read")
        sizes[id(node)] = total
        return total

    size(root)


def step(part: Part, here: Any) -> Any:
    """The value that one part leads to from `here`; MISSING when there is none."""
    if isinstance(part, str):
        return here[part] if isinstance(here, Mapping) and part in here else MISSING
    index = index_of(part, here)
    return here[index] if index is not None else MISSING


def index_of(part: int | Selector, items: Any) -> int | None:
    """Which element of a list is meant; None when there is none."""
    if not isinstance(items, list):
        return None
    if isinstance(part, int):
        return part if part < len(items) else None
    for index, item in enumerate(items):
        if isinstance(item, Mapping) and str(item.get(part.field, "")) == part.value:
            return index
    return None


def as_json(value: Any) -> Any:
    """`value` if JSON can say it.

    Raises:
        PathError: a date, a set, bytes, NaN or a key that is no string is in it.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: as_json(item) for key, item in value.items()}
    raise PathError(
        f"it holds a {type(value).__name__}, which cannot be pinned; a pin holds what JSON can say, "
        "so quote it or pin a value further in"
    )


def replace(text: str, form: Format, parts: Sequence[Part], value: Any) -> str:
    """The document with `value` at `parts` and everything else of the same meaning. MISSING takes the key away.

    Raises:
        PathError: no such document, or the parent is not there.
    """
    wanted = _put(_copy(load(text, form)), parts, value)
    if value is not MISSING and not isinstance(value, list | dict):
        spliced = _splice(text, parts, value)
        if spliced is not None and _says(spliced, form, wanted):
            return spliced
    whole = _dump(wanted, form, text)
    if not _says(whole, form, wanted):
        raise PathError(f"this {form} document cannot be written without changing its meaning")
    return whole


def _put(document: Any, parts: Sequence[Part], value: Any) -> Any:
    if not parts:
        return None if value is MISSING else value
    *way, last = parts
    parent = document
    for part in way:
        parent = step(part, parent)
    place: Any = last if isinstance(last, str) and isinstance(parent, dict) else None
    if not isinstance(last, str):
        place = index_of(last, parent)
    if place is None:
        raise PathError("the place to write to is not there")
    if value is not MISSING:
        parent[place] = value
    elif isinstance(parent, dict):
        parent.pop(place, None)
    else:
        del parent[place]
    return document


def _copy(value: Any) -> Any:
    """A copy in which nothing is shared: an alias becomes a value of its own."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _splice(text: str, parts: Sequence[Part], value: Any) -> str | None:
    """`text` with the scalar at `parts` exchanged, unproven; None when there is no such scalar."""
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:  # JSON with tabs is no YAML
        return None
    for part in parts:
        node = _child(node, part)
    if not isinstance(node, yaml.ScalarNode):
        return None
    start, end = node.start_mark.index, node.end_mark.index
    old = text[start:end]
    before = " " if not old and not text[:start].endswith((" ", "\n")) else ""
    after = "\n" if old.endswith("\n") else ""
    return f"{text[:start]}{before}{_scalar(value, old)}{after}{text[end:]}"


def _child(node: Any, part: Part) -> Any:
    if isinstance(node, yaml.MappingNode) and isinstance(part, str):
        return next((v for k, v in reversed(node.value) if k.value == part), None)
    if not isinstance(node, yaml.SequenceNode):
        return None
    if isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    if isinstance(part, Selector):
        fields = ((item, _child(item, part.field)) for item in node.value)
        return next((item for item, field in fields if field is not None and field.value == part.value), None)
    return None


def _scalar(value: Any, old: str) -> str:
    """The value as it is written: plain where the old one was plain and it is safe, else as JSON."""
    quoted = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or not old or old[0] in "\"'|>&*!":
        return quoted
    special = set(":#\n\r\t,[]{}\\\"'") & set(value)
    if special - {":"} or ": " in value or value != value.strip() or value.endswith(":"):
        return quoted
    try:
        return value if yaml.safe_load(value) == value else quoted
    except yaml.YAMLError:
        return quoted


def _says(text: str, form: Format, wanted: Any) -> bool:
    try:
        return same(load(text, form), wanted)
    except PathError:
        return False


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type: 1, 1.0 and true differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or one != one  # noqa: PLR0124 - NaN beside NaN


def _dump(value: Any, form: Format, old: str) -> str:
    if form == "yaml":
        written: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
        return written
    lines = old.strip().splitlines()
    indent = len(lines[1]) - len(lines[1].lstrip()) if len(lines) > 1 else None
    end = "\n" if old.endswith("\n") else ""
    return json.dumps(value, indent=indent, ensure_ascii=False) + end
