"""From the words of a policy test to the answers that the core is given."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from model_rollback.adapters.metrics_answers import refusal
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.cli.notation import Mark, Point
from model_rollback.cli.policytest import Answer as Entry
from model_rollback.cli.scripts import Script
from model_rollback.core.questions import Answers, Questions
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample

_FAILURES: Mapping[str, MetricsError] = {
    "timeout": MetricsError("timeout", "no answer in time"),
    "partial": MetricsError("partial", "the answer came with warnings and may be incomplete"),
    "badquery": MetricsError("bad_query", "the query was refused"),
}


_AGED: Final = 0.0
"""The value of a sample that is too old to be judged: the notation has none for it."""


class Answering:
    """What Prometheus answers, step by step."""

    def __init__(self, script: Script) -> None:
        entries = script.test.answers
        self._voices = {
            t.name: _Voice(t, [a for a in entries if a.trigger == t.name], script.interval)
            for t in script.policy.triggers
        }

    def at(self, step: int, now: datetime, questions: Mapping[str, Questions]) -> Mapping[str, Answers]:
        """Trigger → the answers to its questions at that step."""
        return {name: self._voices[name].answers(step, now, asked) for name, asked in questions.items()}


class _Voice:
    """The entries that speak of one trigger."""

    def __init__(self, trigger: Trigger, entries: Sequence[Entry], interval: timedelta) -> None:
        self._trigger = trigger
        self._entries = entries
        self._interval = interval
        self._failures = next((e.failures for e in entries if e.failures is not None), ())

    def answers(self, step: int, now: datetime, questions: Questions) -> Answers:
        failure = self._failures[step] if step < len(self._failures) else "ok"
        if failure != "ok":
            error = _FAILURES.get(failure) or refusal(int(failure), b"", "Prometheus")
            return dict.fromkeys(questions, error)
        answers = {questions.value: Answer(tuple(self._samples(step)))}
        answers |= dict.fromkeys(questions.ages, Answer(tuple(self._ages(step, now))))
        if questions.traffic is not None:
            answers[questions.traffic] = Answer(tuple(self._traffic(step)))
        if questions.baseline is not None:
            answers[questions.baseline] = Answer(tuple(self._baseline(step)))
        if questions.rules is not None and self._trigger.alert is not None:
            rule = {"alertname": self._trigger.alert.name, "health": "ok"}
            answers[questions.rules] = Answer((Sample(rule, 1.0),))
        return answers

    def _baseline(self, step: int) -> Iterator[Sample]:
        """What is said of it; for an offset where nothing is, the trigger's own values that long ago."""
        baseline = self._trigger.breach.baseline
        said = [e for e in self._entries if e.baseline is not None]
        if not said and baseline is not None and baseline.offset is not None:
            yield from self._samples(step - int(baseline.offset // self._interval))
        series = self._trigger.series if baseline is None or baseline.query is None else baseline.series
        for entry in said:
            point = _point(entry.baseline, step)
            if isinstance(point, float):
                yield Sample(series if entry.series is None else entry.series, point)

    def _samples(self, step: int) -> Iterator[Sample]:
        for entry in self._entries:
            point = _point(entry.values, step)
            if self._trigger.alert is not None and point == 0.0:
                continue  # an alert that does not fire has no series
            if isinstance(point, float):
                yield Sample(self._labels(entry), point)
            elif point is Mark.OLD and self._trigger.max_sample_age is not None:
                yield Sample(self._labels(entry), _AGED)

    def _ages(self, step: int, now: datetime) -> Iterator[Sample]:
        """When the samples were taken: just now, or too long ago."""
        limit = self._trigger.max_sample_age or timedelta(0)
        for entry in self._entries:
            point = _point(entry.values, step)
            if point is not Mark.NO_SAMPLE:
                age = limit + timedelta(seconds=1) if point is Mark.OLD else timedelta(0)
                yield Sample(self._labels(entry), (now - age).timestamp())

    def _traffic(self, step: int) -> Iterator[Sample]:
        traffic = self._trigger.traffic
        for entry in self._entries:
            point = _point(entry.traffic, step)
            if isinstance(point, float) and traffic is not None:
                yield Sample(traffic.series if entry.series is None else entry.series, point)

    def _labels(self, entry: Entry) -> Mapping[str, str]:
        return self._trigger.series if entry.series is None else entry.series


def _point(points: Sequence[Point] | None, step: int) -> Point:
    """Before the first one and after the last one there are no samples."""
    return points[step] if points is not None and 0 <= step < len(points) else Mark.NO_SAMPLE
