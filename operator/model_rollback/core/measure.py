"""One measurement: what an answer of Prometheus says about one trigger at one moment.

"Could not measure" is never "bad": no data and errors are verdicts of their own, and only the policy's own words
(`onNoData`, `onError`) turn them into a breach.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from model_rollback.api.types import parse_range
from model_rollback.api.v1alpha1.trigger import Breach, Trigger
from model_rollback.core.questions import Answers, questions_of
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample

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

_SYMBOLS: Final[Mapping[str, str]] = {
    "LessThan": "<",
    "LessThanOrEqual": "<=",
    "GreaterThan": ">",
    "GreaterThanOrEqual": ">=",
    "Equal": "==",
    "NotEqual": "!=",
    "Outside": "outside",
    "Inside": "inside",
}


class Verdict(StrEnum):
    """What one measurement says."""

    HEALTHY = "Healthy"
    BREACHING = "Breaching"
    NO_DATA = "NoData"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One verdict with what it rests on.

    Attributes:
        value: the deciding value as text; empty without data.
        message: the verdict in words, e.g. `0.81 < 0.90`.
        samples: the series that belong to the trigger.
    """

    verdict: Verdict
    value: str
    message: str
    samples: tuple[Sample, ...] = ()


def is_breaching(breach: Breach, value: float) -> bool:
    """Whether a finite value is bad."""
    low, high = parse_range(breach.threshold)
    return _COMPARISONS[breach.operator](value, low, high)


def in_words(breach: Breach) -> str:
    """`< 0.90`, `outside 0.8..1.2`."""
    return f"{_SYMBOLS[breach.operator]} {breach.threshold}"


def show_value(value: float) -> str:
    """At most six significant digits, without noise: `0.81`."""
    return f"{value:.6g}"


def measure(trigger: Trigger, answers: Answers) -> Measurement:
    """What the answers to the trigger's questions say about it. The rows of `One measurement` in the semantics."""
    answer = answers[questions_of(trigger).value]
    if isinstance(answer, MetricsError):
        return Measurement(Verdict.ERROR, "", f"could not measure ({answer.kind}): {answer}")
    mine = tuple(s for s in answer.samples if trigger.series.items() <= s.labels.items())
    if not mine:
        return Measurement(Verdict.NO_DATA, "", _no_series(trigger, answer))
    finite = tuple(s for s in mine if math.isfinite(s.value))
    dropped = len(mine) - len(finite)
    if not finite:
        return Measurement(
            Verdict.NO_DATA, "", f"{_show_labels(mine[0])} is {mine[0].value}, which measures nothing", mine
        )
    note = f" ({dropped} of {len(mine)} series are NaN or infinite and left out)" if dropped else ""
    for sample in finite:
        if is_breaching(trigger.breach, sample.value):
            value = show_value(sample.value)
            return Measurement(Verdict.BREACHING, value, f"{value} {in_words(trigger.breach)}{note}", mine)
    value = show_value(finite[0].value)
    return Measurement(Verdict.HEALTHY, value, f"{value} is not {in_words(trigger.breach)}{note}", mine)


def _no_series(trigger: Trigger, answer: Answer) -> str:
    if not answer.samples:
        return "the query returns no series"
    wanted = ", ".join(f'{k}="{v}"' for k, v in sorted(trigger.series.items()))
    return f"none of the {len(answer.samples)} series of the answer has {{{wanted}}}"


def _show_labels(sample: Sample) -> str:
    labels = ", ".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
    return f"{{{labels}}}"
