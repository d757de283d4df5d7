"""What is wrong with an object: where it stands, what it is, and how to mend it."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from model_rollback.cli.documents import Document, Position, Step, show_path


class Severity(StrEnum):
    """`error`: the API server or the operator refuses it, or it cannot do what it says; `warning`: it can, but hardly
    what was meant; `note`: only said."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """What one rule has to say about a field of the object that it looks at."""

    severity: Severity
    path: tuple[Step, ...]
    message: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark with its place.

    Attributes:
        rule: a word for programs and for looking it up in the reference, e.g. `fires-at-once`.
        subject: the object, e.g. `RollbackPolicy recommender`; empty for what is none.
    """

    severity: Severity
    rule: str
    file: str
    position: Position
    subject: str
    field: str
    message: str
    mend: str

    def as_json(self) -> dict[str, Any]:
        """For `-o json`."""
        return {
            "severity": self.severity.value,
            "rule": self.rule,
            "file": self.file,
            "line": self.position.line,
            "column": self.position.column,
            "object": self.subject,
            "field": self.field,
            "message": self.message,
            "mend": self.mend,
        }


def find(rule: str, document: Document, subject: str, remark: Remark) -> Finding:
    """The remark, placed."""
    return Finding(
        remark.severity,
        rule,
        document.file,
        document.position(remark.path),
        subject,
        show_path(remark.path),
        remark.message,
        remark.mend,
    )


def closest(word: str, known: Sequence[str]) -> str:
    """`did you mean "threshold"?`, or empty."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f'did you mean "{found[0]}"?' if found else ""


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[Remark]:
    """A validation error of `model` as remarks, each with what its field is for."""
    for item in error.errors():
        path = tuple(item["loc"])
        yield Remark(Severity.ERROR, path, *_in_words(item, path, model))


def _in_words(item: Mapping[str, Any], path: tuple[Step, ...], model: type[BaseModel]) -> tuple[str, str]:
    """The message, and how to mend it."""
    kind, message = item["type"], str(item["msg"])
    if kind == "extra_forbidden":
        known = list(_fields(_model_at(model, path[:-1])))
        return "there is no such field", closest(str(path[-1]), known) or f"there are: {', '.join(known)}"
    mend = _description(model, path)
    if kind == "missing":
        return "this field is required", mend
    if kind == "literal_error":
        allowed = str(item.get("ctx", {}).get("expected", ""))
        given = item.get("input")
        words = [word.strip("'") for word in allowed.replace(" or ", ", ").split(", ")]
        return f"{given!r} is none of {allowed}", closest(str(given), words) or mend
    if kind == "string_pattern_mismatch":
        return f"{item.get('input')!r} is not written as it must be ({item['ctx']['pattern']})", mend
    if kind.endswith("_type"):
        return f"{message} (this is {item.get('input')!r})", mend
    return message.removeprefix("Value error, "), mend


def _fields(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    return {f.alias or name: f for name, f in model.model_fields.items()} if model is not None else {}


def _model_at(model: type[BaseModel] | None, path: Sequence[Step]) -> type[BaseModel] | None:
    """The model of what stands at `path`; None for what is no model."""
    for step in path:
        if isinstance(step, int):
            continue
        field = _fields(model).get(step)
        model = _model_in(field.annotation) if field is not None else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """`list[Trigger]`, `Trigger | None`, `Trigger` → Trigger."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((f for f in found if f is not None), None)


def _description(model: type[BaseModel], path: tuple[Step, ...]) -> str:
    """What the field at `path`, or the nearest one around it, is for."""
    while path:
        field = _fields(_model_at(model, path[:-1])).get(str(path[-1]))
        if field is not None:
            return field.description or ""
        path = path[:-1]
    return ""
