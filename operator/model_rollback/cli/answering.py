"""From the words of a policy test to the answers that the core is given."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from model_rollback.adapters.metrics_answers import refusal
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.cli.notation import Mark, Point
from model_rollback.cli.policytest import Answer as Entry
from model_rollback.cli.scripts import Script
from model_rollback.core.questions import Answers, Questions, questions_of
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample

_FAILURES: Mapping[str, MetricsError] = {
    "timeout": MetricsError("timeout", "no answer in time"),
    "partial": MetricsError("partial", "the answer came with warnings and may be incomplete"),
    "badquery": MetricsError("bad_query", "the query was refused"),
}


_AGED: Final = 0.0
"""The value of a sample that is too old to be judged: the notation has none for it."""


def asked_of(trigger: Trigger) -> Questions:
    """What is asked for `trigger` at every step: all that may be asked."""
    return questions_of(trigger, clock_runs=True)


class Answering:
    """What Prometheus answers, step by step."""

    def __init__(self, script: Script) -> None:
        self._triggers = [
            _Asked(trigger, asked_of(trigger), [a for a in script.test.answers if a.trigger == trigger.name])
            for trigger in script.policy.triggers
        ]

    def at(self, step: int, now: datetime) -> Mapping[str, Answers]:
        """Trigger → the answers to its questions at that step."""
        return {asked.trigger.name: asked.answers(step, now) for asked in self._triggers}


class _Asked:
    """One trigger and the entries that speak of it."""

    def __init__(self, trigger: Trigger, questions: Questions, entries: Sequence[Entry]) -> None:
        self.trigger = trigger
        self._questions = questions
        self._entries = entries
        self._failures = next((e.failures for e in entries if e.failures is not None), ())

    def answers(self, step: int, now: datetime) -> Answers:
        failure = self._failures[step] if step < len(self._failures) else "ok"
        if failure != "ok":
            error = _FAILURES.get(failure) or refusal(int(failure), b"", "Prometheus")
            return dict.fromkeys(self._questions, error)
        ages = Answer(tuple(self._ages(step, now)))
        answers = {self._questions.value: Answer(tuple(self._samples(step)))}
        answers |= dict.fromkeys(self._questions.ages, ages)
        if self._questions.traffic is not None:
            answers[self._questions.traffic] = Answer(tuple(self._traffic(step)))
        if self._questions.baseline is not None:
            answers[self._questions.baseline] = Answer(())
        return answers

    def _samples(self, step: int) -> Iterator[Sample]:
        for entry in self._entries:
            point = _point(entry.values, step)
            if isinstance(point, float):
                yield Sample(self._labels(entry), point)
            elif point is Mark.OLD and self.trigger.max_sample_age is not None:
                yield Sample(self._labels(entry), _AGED)

    def _ages(self, step: int, now: datetime) -> Iterator[Sample]:
        """When the samples were taken: just now, or too long ago."""
        limit = self.trigger.max_sample_age or timedelta(0)
        for entry in self._entries:
            point = _point(entry.values, step)
            if point is not Mark.NO_SAMPLE:
                age = limit + timedelta(seconds=1) if point is Mark.OLD else timedelta(0)
                yield Sample(self._labels(entry), (now - age).timestamp())

    def _traffic(self, step: int) -> Iterator[Sample]:
        traffic = self.trigger.traffic
        for entry in self._entries:
            point = _point(entry.traffic, step)
            if isinstance(point, float) and traffic is not None:
                yield Sample(traffic.series if entry.series is None else entry.series, point)

    def _labels(self, entry: Entry) -> Mapping[str, str]:
        return self.trigger.series if entry.series is None else entry.series


def _point(points: Sequence[Point] | None, step: int) -> Point:
    """After the last one there are no more samples."""
    return points[step] if points is not None and step < len(points) else Mark.NO_SAMPLE
