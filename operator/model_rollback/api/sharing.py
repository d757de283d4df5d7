"""Equal parts of many objects as one object.

Ten thousand policies made from one preset differ in a name and a label; their guards, conditions and limits are equal.
Models are frozen, so equal parts can be the same part: a fleet then takes a fraction of the memory, and what was
validated once is not validated again.
"""

import marshal
from typing import Any, Final, Generic, Self, TypeVar

from pydantic import BaseModel, ModelWrapValidatorHandler, model_validator

K = TypeVar("K")
V = TypeVar("V")

_NEWEST: Final = 2048
_LONGEST: Final = 512
"""Bytes of a part that is looked up; what is longer, a whole spec say, is hardly ever equal to another one."""
_WITHOUT_REFERENCES: Final = 2
"""The version of marshal's format in which equal data is equal bytes."""


class Newest(Generic[K, V]):
    """Remembers what was used lately: at least `size` entries, at most twice as many."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def find(self, key: K) -> V | None:
        """What was kept for the key, unless it is forgotten by now."""
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.keep(key, found)
        return found

    def keep(self, key: K, value: V) -> V:
        """Remembers and returns `value`."""
        if len(self._new) >= self._size:
            self._old, self._new = self._new, {}
        self._new[key] = value
        return value

    def __len__(self) -> int:
        return len(self._new) + len(self._old)


_parts: Final[Newest[tuple[type, bytes], Any]] = Newest(_NEWEST)
_fields: Final[Newest[frozenset[str], set[str]]] = Newest(_NEWEST)


class _Named(dict[str, Any]):
    """The arguments of a constructor, which must fill the instance that it was called for."""


class SharedModel(BaseModel):
    """A frozen model of which equal instances, validated from equal JSON, are mostly one."""

    def __init__(self, /, **data: Any) -> None:
        self.__pydantic_validator__.validate_python(_Named(data), self_instance=self)

    # What pydantic says of its own: that nested instances need not be made by calling it.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="wrap")
    @classmethod
    def _share(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        key = _key(cls, data)
        known: Self | None = _parts.find(key) if key is not None else None
        if known is not None:
            return known
        made = handler(data)
        _share_fields_set(made)
        return _parts.keep(key, made) if key is not None else made


def _key(cls: type, data: Any) -> tuple[type, bytes] | None:
    """What data of one type is looked up by; None for what is no plain JSON, or too long."""
    if type(data) is not dict:
        return None
    try:
        text = marshal.dumps(data, _WITHOUT_REFERENCES)
    except ValueError:
        return None
    return (cls, text) if len(text) <= _LONGEST else None


def _share_fields_set(made: BaseModel) -> None:
    """pydantic remembers for each instance which fields were given: half of its memory, and nearly always the same."""
    given = made.__pydantic_fields_set__
    name = frozenset(given)
    shared = _fields.find(name)
    if shared is None:
        shared = _fields.keep(name, given)
    object.__setattr__(made, "__pydantic_fields_set__", shared)
