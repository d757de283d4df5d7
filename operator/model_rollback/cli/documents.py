"""YAML files as people write them: documents that know where each of their fields stands."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

Step = str | int
"""A key, or an index of a list."""

STDIN: Final = "-"
_SUFFIXES: Final = (".yaml", ".yml", ".json")


class UnusableError(Exception):
    """A file cannot be read, or what it says cannot be used; the message says where and how to mend it."""


class _Loader(yaml.SafeLoader):
    """Like the API server's reader: a time is text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    Attributes:
        file: as it was named on the command line; `-` for standard input.
        data: plain JSON values.
    """

    file: str
    data: Any
    node: yaml.Node

    def position(self, path: Sequence[Step] = ()) -> Position:
        """Where the value at `path` stands; where a part of it is missing, the place of what surrounds it."""
        here = self.node
        mark = here.start_mark
        for step in path:
            found = _child(here, step)
            if found is None:
                break
            key, here = found
            mark = key.start_mark
        return Position(mark.line + 1, mark.column + 1)

    def child(self, key: str) -> "Document":
        """What stands at `key` of a map, as a document of its own."""
        found = _child(self.node, key)
        return Document(self.file, self.data[key], found[1] if found is not None else self.node)

    def repeated_keys(self) -> Iterator[tuple[tuple[Step, ...], Position]]:
        """Every key that stands twice in one map, with its first place; YAML would silently keep the last."""
        yield from _repeated(self.node, (), set())


def _child(node: yaml.Node, step: Step) -> tuple[yaml.Node, yaml.Node] | None:
    """The node that marks where the child begins (its key, or itself in a list), and the child."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == str(step)]
        return pairs[-1] if pairs else None
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _repeated(
    node: yaml.Node, path: tuple[Step, ...], seen: set[int]
) -> Iterator[tuple[tuple[Step, ...], Position]]:
    if id(node) in seen:  # an alias leads here a second time
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, (*path, index), seen)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, yaml.Mark] = {}
    for key, value in node.value:
        name = str(key.value)
        mark = first.setdefault(name, key.start_mark)
        if mark is not key.start_mark:
            yield (*path, name), Position(mark.line + 1, mark.column + 1)
        yield from _repeated(value, (*path, name), seen)


def parse(text: str, file: str) -> list[Document]:
    """The documents of a YAML (or JSON) text; empty ones are left out.

    Raises:
        UnusableError: it is no YAML.
    """
    documents = []
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            data = loader.construct_document(node) if node is not None else None
            if node is not None and data is not None:
                documents.append(Document(file, data, node))
    except yaml.YAMLError as error:
        raise UnusableError(_in_words(error, file)) from error
    finally:
        loader.dispose()
    return documents


def _in_words(error: yaml.YAMLError, file: str) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark is not None else file
    problem = getattr(error, "problem", None) or str(error)
    return f"{where}: this is no YAML: {problem}"


def read(file: str) -> list[Document]:
    """The documents of one file, or of standard input for `-`. Raises UnusableError."""
    if file == STDIN:
        return parse(sys.stdin.read(), file)
    try:
        return parse(Path(file).read_text(encoding="utf-8"), file)
    except OSError as error:
        raise UnusableError(f"{file}: it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnusableError(f"{file}: it is no text in UTF-8") from error


def expand(names: Sequence[str], ending: str = "") -> list[str]:
    """Files and `-` as they are; of a directory, all YAML and JSON files below it whose stem ends with `ending`.

    Raises:
        UnusableError: a name leads nowhere, or a directory holds no such file.
    """
    files: list[str] = []
    for name in names:
        path = Path(name)
        if name == STDIN or path.is_file():
            files.append(name)
            continue
        if not path.is_dir():
            raise UnusableError(f"{name}: there is no such file or directory")
        found = sorted(
            str(p)
            for p in path.rglob("*")
            if p.is_file() and p.suffix in _SUFFIXES and p.stem.endswith(ending)
        )
        if not found:
            raise UnusableError(f"{name}: no file *{ending}.yaml is in this directory")
        files += found
    return files


def show_path(path: Sequence[Step]) -> str:
    """`spec.triggers[0].query`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "/" in step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text
