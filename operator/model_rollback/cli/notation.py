"""How policy tests write what Prometheus would have answered: `0.95x7 _x3 NaN 0.81x12`, `ok x4 timeout x2`.

Words are separated by blanks; `WORDxN` or `WORD xN` means N steps with that word, a plain word one step.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, TypeVar

T = TypeVar("T")

MAX_STEPS: Final = 200_000
_COUNT: Final = re.compile(r"x([0-9]{1,6})")
_COUNTED: Final = re.compile(r"(?P<word>.+?)x(?P<count>[0-9]{1,6})")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?")
_SPECIAL: Final = {"NaN": float("nan"), "Inf": float("inf"), "+Inf": float("inf"), "-Inf": float("-inf")}


class Mark(Enum):
    """A step without a value that could be compared."""

    NO_SAMPLE = "_"
    OLD = "old"


Point = float | Mark
"""What one series holds at one step."""

FAILURES: Final[Mapping[str, str]] = {
    "ok": "the query is answered",
    "timeout": "no answer in time",
    "503": "the server answers 503; any other status from 400 to 599 works alike",
    "partial": "the answer comes with warnings: parts of the storage did not answer",
    "badquery": "the server refuses the query",
}
"""The words of `failures`."""


def points(text: str) -> tuple[Point, ...]:
    """`0.95x2 _ old NaN` → one point for each step. Raises ValueError."""
    return _steps(text, _point)


def failures(text: str) -> tuple[str, ...]:
    """`ok x4 timeout x2 503` → one word for each step. Raises ValueError."""
    return _steps(text, _failure)


def _point(word: str) -> Point:
    if word in _SPECIAL:
        return _SPECIAL[word]
    if word in ("_", "old"):
        return Mark(word)
    if not _NUMBER.fullmatch(word):
        raise ValueError(
            f"{word!r} is no value: write a decimal, NaN, Inf, -Inf, _ (no sample) or old (an old sample), "
            "each with xN for N steps, e.g. 0.95x7"
        )
    return float(word)


def _failure(word: str) -> str:
    if word in FAILURES or re.fullmatch(r"[45][0-9][0-9]", word):
        return word
    raise ValueError(
        f"{word!r} is no failure: write {', '.join(FAILURES)}, each with xN for N steps, e.g. timeout x2"
    )


def _steps(text: str, read: Callable[[str], T]) -> tuple[T, ...]:
    steps: list[T] = []
    counted = True  # whether the newest word has its count already
    for word in text.split():
        alone = _COUNT.fullmatch(word)
        if alone and counted:
            raise ValueError(
                f"{word!r} counts nothing: it must follow a word without a count, e.g. timeout x2"
            )
        if alone:
            steps += [steps[-1]] * (_positive(alone[1], word) - 1)
            counted = True
            continue
        both = _COUNTED.fullmatch(word)
        steps += [read(both["word"])] * _positive(both["count"], word) if both else [read(word)]
        counted = both is not None
        if len(steps) > MAX_STEPS:
            raise ValueError(f"more than {MAX_STEPS} steps")
    if not steps:
        raise ValueError("there is not a single step in it")
    return tuple(steps)


def _positive(count: str, word: str) -> int:
    if int(count) == 0:
        raise ValueError(f"{word!r}: count from 1")
    return int(count)
