"""What a trigger asks of its metrics source at one tick.

Questions are values: those of many policies that are equal are asked once per tick and source, and the answer serves
them all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from model_rollback.api.v1alpha1.trigger import Trigger
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


Answers = Mapping[Question, Answer | MetricsError]
"""What came back at one tick. An error is an answer too."""


@dataclass(frozen=True, slots=True)
class Questions:
    """All that one trigger asks; iterating gives each question.

    Attributes:
        value: the query that is judged.
    """

    value: Question

    def __iter__(self) -> Iterator[Question]:
        yield self.value


def questions_of(trigger: Trigger) -> Questions:
    """What `trigger` asks at every tick."""
    return Questions(value=Question(trigger.query))
