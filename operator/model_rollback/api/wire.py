"""How a status is written: without what says nothing, so that `kubectl describe` shows what is the case and no more.

An empty text, list or map means the same as absence where that is the field's default: it is read back as the same
status. What a field must have, such as the empty value of a pin, is written though it is empty.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, get_args

from pydantic import BaseModel

_EMPTY: Final[tuple[Any, ...]] = ("", [], {})


class _Field(NamedTuple):
    """`optional`: absent means empty. `inner`: the model of the value or of the list's elements, when it is one."""

    optional: bool
    inner: type[BaseModel] | None


def written(model: BaseModel) -> dict[str, Any]:
    """The model as JSON, by wire names, without what is empty by default."""
    return _told(type(model), model.model_dump(mode="json", by_alias=True, exclude_none=True))


def _told(model: type[BaseModel], dumped: Mapping[str, Any]) -> dict[str, Any]:
    fields = _fields(model)
    told = {}
    for name, given in dumped.items():
        field, value = fields[name], given
        if field.inner is not None:
            value = (
                [_told(field.inner, each) for each in given]
                if isinstance(given, list)
                else _told(field.inner, given)
            )
        if not field.optional or value not in _EMPTY:
            told[name] = value
    return told


@lru_cache(maxsize=256)
def _fields(model: type[BaseModel]) -> dict[str, _Field]:
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    shown = model.model_construct(**defaults).model_dump(mode="json", by_alias=True, include=set(defaults))
    found = {}
    for name, field in model.model_fields.items():
        alias = field.serialization_alias or field.alias or name
        inner = _model_in(field.annotation)
        default = shown.get(alias)
        if inner is not None and isinstance(default, dict):
            default = _told(inner, {k: v for k, v in default.items() if v is not None})
        found[alias] = _Field(name in defaults and default in _EMPTY, inner)
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as `X`, `X | None` or `tuple[X, ...]` is about; not that of a map's values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(each) for each in get_args(annotation))
    return next((each for each in inner if each is not None), None)
