"""One measurement: what the answers of a metrics source say about one trigger at one moment.

"Could not measure" is never "bad": no data, errors, stale samples and too little traffic are verdicts of their own,
and only the policy's own words (`onNoData`, `onError`) turn some of them into a breach.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.trigger import Alert, Traffic, Trigger
from model_rollback.core.comparison import in_words, is_beyond, is_breaching, is_relative, show_value
from model_rollback.core.questions import Answers, Question, Questions
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample


class Verdict(StrEnum):
    """What one measurement says."""

    HEALTHY = "Healthy"
    BREACHING = "Breaching"
    NO_DATA = "NoData"
    STALE = "Stale"
    LOW_TRAFFIC = "LowTraffic"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One verdict with what it rests on.

    Attributes:
        value: the deciding value as text; empty without data.
        message: the verdict in words, e.g. `0.81 < 0.90`.
        samples: the series that belong to the trigger.
        taken_at: when the newest sample of each selector was taken, in seconds since the epoch; empty: not asked.
        baseline: what the value was compared with; empty unless the breach is relative.
        recovering: why a breach is not over although the value is not bad (`recoverAt`); empty: nothing is in the way.
        blind: nothing could be judged because nothing could be measured.
        unrivalled: it was measured, and there is no version yet to compare it with.
        notes: warnings and infos that came with the answers.
    """

    verdict: Verdict
    value: str
    message: str
    samples: tuple[Sample, ...] = ()
    taken_at: tuple[float, ...] = ()
    baseline: str = ""
    recovering: str = ""
    blind: bool = False
    unrivalled: bool = False
    notes: tuple[str, ...] = ()


def _total(values: Sequence[float]) -> float:
    """Exact while it can be; infinite, or NaN for opposite infinities, where it cannot."""
    try:
        return math.fsum(values)
    except (ValueError, OverflowError):
        return sum(values)


_REDUCERS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "Max": max,
    "Min": min,
    "Avg": lambda values: _total(values) / len(values),
    "Sum": _total,
}


def measure(trigger: Trigger, questions: Questions, answers: Answers, *, now: datetime) -> Measurement:
    """What the answers say about `trigger`: the rows of `One measurement` in the semantics, in their precedence.

    Args:
        questions: what was asked for this trigger; every one of them has its answer in `answers`.
        now: the tick.
    """
    traffic = _traffic(trigger.traffic, answers[questions.traffic]) if questions.traffic is not None else None
    if traffic is not None and not traffic.blind:
        return traffic
    answer = answers[questions.value]
    if isinstance(answer, MetricsError):
        return _failed("could not measure", answer)
    if traffic is not None:
        return traffic
    measured = _judge(trigger, questions, answers, answer, now)
    return replace(measured, notes=_notes(questions, answers))


def _failed(what: str, error: MetricsError) -> Measurement:
    return Measurement(Verdict.ERROR, "", f"{what} ({error.kind}): {error}", blind=True)


def _no_data(message: str, samples: tuple[Sample, ...] = ()) -> Measurement:
    return Measurement(Verdict.NO_DATA, "", message, samples, blind=True)


# --- traffic ------------------------------------------------------------------------------------------------------


def _traffic(traffic: Traffic | None, answer: Answer | MetricsError) -> Measurement | None:
    """None when there is enough; else LowTraffic, `blind` when it is not known how much there is."""
    if traffic is None:
        return None
    if isinstance(answer, MetricsError):
        words = f"traffic is unknown, it could not be measured ({answer.kind}): {answer}"
        return Measurement(Verdict.LOW_TRAFFIC, "", words, blind=True)
    values = [s.value for s in answer.matching(traffic.series) if math.isfinite(s.value)]
    if not values:
        return Measurement(
            Verdict.LOW_TRAFFIC, "", "traffic is unknown: its query returns no number of mine", blind=True
        )
    total = _total(values)
    if total >= float(traffic.at_least):
        return None
    return Measurement(
        Verdict.LOW_TRAFFIC, "", f"traffic of {show_value(total)} is below {traffic.at_least}: not judged"
    )


# --- the value ----------------------------------------------------------------------------------------------------


def _judge(
    trigger: Trigger, questions: Questions, answers: Answers, answer: Answer, now: datetime
) -> Measurement:
    mine = answer.matching(trigger.series)
    if trigger.alert is not None:
        return _alert(trigger.alert, mine, answers[questions.rules] if questions.rules is not None else None)
    if not mine:
        return _no_data(_no_series(trigger, answer))
    usable = _usable(trigger, mine)
    if not usable:
        return _no_data(f"{_show_labels(mine[0])} is {mine[0].value}, which measures nothing", mine)
    age = _age(trigger, questions, answers, now)
    if isinstance(age, Measurement):
        return replace(age, value=show_value(usable[0].value), samples=mine)
    compared = _compared(trigger, questions, answers, usable)
    if isinstance(compared, Measurement):
        return replace(compared, samples=mine, taken_at=age)
    left_out = len(mine) - len(usable)
    note = f" ({left_out} of {len(mine)} series are NaN or infinite and left out)" if left_out else ""
    measured = _verdict(trigger, compared, note)
    return replace(measured, samples=mine, taken_at=age)


def _alert(alert: Alert, firing: tuple[Sample, ...], rules: Answer | MetricsError | None) -> Measurement:
    """Bad while it fires; healthy only when there is a rule that could make it fire."""
    if firing:
        return Measurement(Verdict.BREACHING, "", f"alert {alert.name} is firing", firing)
    if isinstance(rules, MetricsError):
        return _failed(f"alert {alert.name} is not firing, and the rules could not be listed", rules)
    named = rules.matching({"alertname": alert.name}) if rules is not None else ()
    if any(rule.labels.get("health") == "ok" for rule in named):
        return Measurement(Verdict.HEALTHY, "", f"alert {alert.name} is not firing")
    if named:
        health = named[0].labels.get("health") or "unknown"
        return _no_data(f"the rule of alert {alert.name} is not evaluated: its health is {health}")
    return _no_data(f"the metrics source has no alerting rule {alert.name}")


def _usable(trigger: Trigger, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Without NaN, and without infinities unless the policy wants them compared."""
    if trigger.on_infinite == "Compare":
        return tuple(s for s in samples if not math.isnan(s.value))
    return tuple(s for s in samples if math.isfinite(s.value))


@dataclass(frozen=True, slots=True)
class _Compared:
    """One value, what it is compared with (0 unless the breach is relative), and whose it is."""

    value: float
    baseline: float = 0.0
    whose: str = ""


def _compared(
    trigger: Trigger, questions: Questions, answers: Answers, usable: tuple[Sample, ...]
) -> list[_Compared] | Measurement:
    """What is to be compared, reduced as the policy says; or why nothing can be."""
    reducer = _REDUCERS.get(trigger.reduce)
    values = usable
    if reducer is not None:
        reduced = reducer([s.value for s in usable])
        values = _usable(trigger, [Sample({}, reduced)])
        if not values:
            return _no_data(f"the {trigger.reduce} of the series is {reduced}, which measures nothing")
    if not is_relative(trigger.breach):
        return [_Compared(s.value, whose=_whose(s, values)) for s in values]
    baselines = _baselines(trigger, questions.baseline, answers)
    if isinstance(baselines, Measurement):
        return baselines
    if reducer is not None and baselines:
        baselines = (Sample({}, reducer([s.value for s in baselines])),)
    found = [
        _Compared(s.value, baseline, _whose(s, values))
        for s in values
        if (baseline := _baseline_of(s, baselines)) and math.isfinite(baseline)
    ]
    return found or _no_data("there is no baseline to compare with, or it is zero")


def _baselines(
    trigger: Trigger, question: Question | None, answers: Answers
) -> tuple[Sample, ...] | Measurement:
    if question is None:
        return Measurement(
            Verdict.NO_DATA, "", "there is no version that was live before to compare with", unrivalled=True
        )
    answer = answers[question]
    if isinstance(answer, MetricsError):
        return _failed("could not measure the baseline", answer)
    baseline = trigger.breach.baseline
    series = baseline.series if baseline is not None and baseline.query is not None else trigger.series
    return tuple(s for s in answer.matching(series) if math.isfinite(s.value))


def _baseline_of(sample: Sample, baselines: Sequence[Sample]) -> float | None:
    """That of the series with the same labels, else the only one there is."""
    same = next((b.value for b in baselines if b.labels == sample.labels), None)
    if same is not None:
        return same
    return baselines[0].value if len(baselines) == 1 else None


def _verdict(trigger: Trigger, compared: Sequence[_Compared], note: str) -> Measurement:
    bad = [c for c in compared if is_breaching(trigger.breach, c.value, c.baseline)]
    if bad and (trigger.reduce != "All" or len(bad) == len(compared)):
        return _measured(trigger, Verdict.BREACHING, bad[0], note)
    good = next((c for c in compared if c not in bad), compared[0])
    measured = _measured(trigger, Verdict.HEALTHY, good, note)
    recover_at = trigger.recover_at
    if recover_at is None:
        return measured
    near = [c for c in compared if not is_beyond(trigger.breach, recover_at, c.value, c.baseline)]
    if not near or (trigger.reduce == "All" and len(near) < len(compared)):
        return measured
    words = f"{show_value(near[0].value)} is not beyond {recover_at}, where it is healthy again{note}"
    return replace(measured, recovering=words)


def _measured(trigger: Trigger, verdict: Verdict, one: _Compared, note: str) -> Measurement:
    value = show_value(one.value)
    baseline = show_value(one.baseline) if is_relative(trigger.breach) else ""
    if baseline:
        verb = "" if verdict is Verdict.BREACHING else "is no breach: "
    else:
        verb = "" if verdict is Verdict.BREACHING else "is not "
    words = f"{value} {verb}{in_words(trigger.breach, baseline)}{one.whose}{note}"
    return Measurement(verdict, value, words, baseline=baseline)


def _whose(sample: Sample, among: Sequence[Sample]) -> str:
    """Which series it was, when there are several."""
    return f" at {_show_labels(sample)}" if len(among) > 1 and sample.labels else ""


# --- the age of samples -------------------------------------------------------------------------------------------


def _age(
    trigger: Trigger, questions: Questions, answers: Answers, now: datetime
) -> tuple[float, ...] | Measurement:
    """When the samples were taken, one for each selector; or why they are too old to be judged.

    Without `maxSampleAge` this only tells new samples from old ones, and what is not known is taken as new.
    """
    taken: list[float] = []
    for question in questions.ages:
        answer = answers[question]
        if isinstance(answer, MetricsError):
            if trigger.max_sample_age is not None:
                return _failed("could not measure how old the samples are", answer)
            continue
        newest = max((s.value for s in answer.samples if _may_be(s, trigger.series)), default=None)
        if newest is not None:
            taken.append(newest)
        elif trigger.max_sample_age is not None:
            return _no_data(f"no sample to tell the age of: {question.text} returns none of mine")
    if trigger.max_sample_age is None or not taken:
        return tuple(taken)
    age = timedelta(seconds=now.timestamp() - min(taken))
    if age <= trigger.max_sample_age:
        return tuple(taken)
    limit = format_duration(trigger.max_sample_age)
    words = f"the newest sample is {format_duration(age)} old, more than {limit}"
    return Measurement(Verdict.STALE, "", words, blind=True)


def _may_be(sample: Sample, series: Mapping[str, str]) -> bool:
    """Whether it is mine as far as its labels tell: a selector may lack what the query adds, e.g. by label_replace."""
    return all(sample.labels.get(name, value) == value for name, value in series.items())


# --- words --------------------------------------------------------------------------------------------------------


def _notes(questions: Questions, answers: Answers) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for question in questions:
        answer = answers[question]
        if isinstance(answer, Answer):
            found |= dict.fromkeys([f"warning: {w}" for w in answer.warnings])
            found |= dict.fromkeys([f"info: {i}" for i in answer.infos])
    return tuple(found)


def _no_series(trigger: Trigger, answer: Answer) -> str:
    if not answer.samples:
        return "the query returns no series"
    wanted = ", ".join(f'{k}="{v}"' for k, v in sorted(trigger.series.items()))
    return f"none of the {len(answer.samples)} series of the answer has {{{wanted}}}"


def _show_labels(sample: Sample) -> str:
    labels = ", ".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
    return f"{{{labels}}}"
