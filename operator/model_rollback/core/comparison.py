"""Comparing a value with its threshold: is it bad, is it good again, and both in words."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from model_rollback.api.types import parse_range
from model_rollback.api.v1alpha1.breach import RELATIVE, Breach

_COMPARISONS: Final[Mapping[str, Callable[[float, float, float], bool]]] = {
    "LessThan": lambda value, low, _: value < low,
    "LessThanOrEqual": lambda value, low, _: value <= low,
    "GreaterThan": lambda value, low, _: value > low,
    "GreaterThanOrEqual": lambda value, low, _: value >= low,
    "Equal": lambda value, low, _: value == low,
    "NotEqual": lambda value, low, _: value != low,
    "Outside": lambda value, low, high: not low <= value <= high,
    "Inside": lambda value, low, high: low <= value <= high,
}
_BEYOND: Final[Mapping[str, Callable[[float, float, float], bool]]] = {
    "LessThan": lambda value, low, _: value > low,
    "LessThanOrEqual": lambda value, low, _: value > low,
    "GreaterThan": lambda value, low, _: value < low,
    "GreaterThanOrEqual": lambda value, low, _: value < low,
    "Outside": lambda value, low, high: low < value < high,
    "Inside": lambda value, low, high: not low <= value <= high,
}
_SYMBOLS: Final[Mapping[str, str]] = {
    "LessThan": "<",
    "LessThanOrEqual": "<=",
    "GreaterThan": ">",
    "GreaterThanOrEqual": ">=",
    "Equal": "==",
    "NotEqual": "!=",
    "Outside": "outside",
    "Inside": "inside",
    "DropsBy": "drops by",
    "RisesBy": "rises by",
}


def is_relative(breach: Breach) -> bool:
    """Whether it compares with a baseline."""
    return breach.operator in RELATIVE


def is_breaching(breach: Breach, value: float, baseline: float = 0.0) -> bool:
    """Whether a value is bad. Relative: changed by the threshold or more; `baseline` is finite and not zero."""
    if is_relative(breach):
        return _change(breach, value, baseline) >= _limit(breach.threshold, baseline)
    low, high = parse_range(breach.threshold)
    return _COMPARISONS[breach.operator](value, low, high)


def is_beyond(breach: Breach, recover_at: str, value: float, baseline: float = 0.0) -> bool:
    """Whether a value that was bad is good again: on the healthy side of `recover_at`, and not on the edge."""
    if is_relative(breach):
        return _change(breach, value, baseline) < _limit(recover_at, baseline)
    low, high = parse_range(recover_at)
    return _BEYOND[breach.operator](value, low, high)


def in_words(breach: Breach, baseline: str = "") -> str:
    """`< 0.90`, `outside 0.8..1.2`, `drops by 10% from 0.92`."""
    words = f"{_SYMBOLS[breach.operator]} {breach.threshold}"
    return f"{words} from {baseline}" if baseline else words


def show_value(value: float) -> str:
    """At most six significant digits, without noise: `0.81`."""
    return f"{value:.6g}"


def _exact(value: float) -> Decimal:
    """As the number is written: a drop from 1.0 to 0.9 is 0.1, not 0.09999999999999998."""
    return Decimal(repr(value))


def _change(breach: Breach, value: float, baseline: float) -> Decimal:
    rise = _exact(value) - _exact(baseline)
    return -rise if breach.operator == "DropsBy" else rise


def _limit(threshold: str, baseline: float) -> Decimal:
    amount = Decimal(threshold.removesuffix("%"))
    return amount / 100 * abs(_exact(baseline)) if threshold.endswith("%") else amount
