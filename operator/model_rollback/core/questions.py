"""What a trigger asks of its metrics source at one tick.

Questions are values: those of many policies that are equal are asked once per tick and source, and the answer serves
them all. What is asked only sometimes:

- the age of samples: while `maxSampleAge` is given, or while a clock runs, for only then it matters whether a bad
  sample is a new one;
- the baseline at the target's `lastSeen`: while there is a target that was live once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.core.selectors import age_query, selectors
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer

THE_TICK = timedelta(0)


@dataclass(frozen=True, slots=True)
class Question:
    """One instant query.

    Attributes:
        text: PromQL.
        when: how long before the tick it is evaluated, or the moment itself, whatever the tick.
    """

    text: str
    when: timedelta | datetime = THE_TICK

    def moment(self, tick: datetime) -> datetime:
        """The evaluation time at that tick."""
        return self.when if isinstance(self.when, datetime) else tick - self.when


ALERT_RULES: Final = Question("/api/v1/rules")
"""Not a query: which alerting rules the source evaluates. One sample for each, with `alertname` and `health`."""

Answers = Mapping[Question, Answer | MetricsError]
"""What came back at one tick. An error is an answer too."""


@dataclass(frozen=True, slots=True)
class Questions:
    """All that one trigger asks; iterating gives each question.

    Attributes:
        value: the query that is judged.
        ages: when the newest sample of each of its selectors was taken.
        traffic: how much traffic there is.
        baseline: what the value is compared with.
        rules: which alerting rules there are, for an alert that does not fire.
    """

    value: Question
    ages: tuple[Question, ...] = ()
    traffic: Question | None = None
    baseline: Question | None = None
    rules: Question | None = None

    def __iter__(self) -> Iterator[Question]:
        yield self.value
        yield from self.ages
        if self.traffic is not None:
            yield self.traffic
        if self.baseline is not None:
            yield self.baseline
        if self.rules is not None:
            yield self.rules


def questions_of(
    trigger: Trigger, *, clock_runs: bool = False, target_seen: datetime | None = None
) -> Questions:
    """What `trigger` asks at a tick.

    Args:
        clock_runs: bad samples were seen, and not enough of them yet.
        target_seen: when the version that would be put back was last live.
    """
    counts = clock_runs and (bool(trigger.for_) or trigger.consecutive > 1)
    asks_age = (counts or trigger.max_sample_age is not None) and trigger.alert is None
    return Questions(
        value=Question(trigger.query),
        ages=tuple(Question(age_query(s, trigger.series)) for s in selectors(trigger.query))
        if asks_age
        else (),
        traffic=Question(trigger.traffic.query) if trigger.traffic is not None else None,
        baseline=_baseline(trigger, target_seen),
        rules=ALERT_RULES if trigger.alert is not None else None,
    )


def needs_target(trigger: Trigger) -> bool:
    """Whether it compares with the version that would be put back."""
    return trigger.breach.baseline is not None and trigger.breach.baseline.version is not None


def _baseline(trigger: Trigger, target_seen: datetime | None) -> Question | None:
    baseline = trigger.breach.baseline
    if baseline is None:
        return None
    if baseline.query is not None:
        return Question(baseline.query)
    if baseline.offset is not None:
        return Question(trigger.query, baseline.offset)
    return Question(trigger.query, target_seen) if target_seen is not None else None
