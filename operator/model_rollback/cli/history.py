"""Asks a metrics source for the history of what a policy asks, in pieces that fit into memory and into one answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from model_rollback.core.questions import ALERT_RULES, Answers, Question
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, MetricsSource

_PIECE: Final = 2000
"""Steps asked for at a time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """Moments `step` apart, from `first` up to and with `last`; multiples of `step` since the epoch, as ticks are."""

    first: datetime
    last: datetime
    step: timedelta

    @property
    def steps(self) -> int:
        """How many moments there are."""
        return (self.last - self.first) // self.step + 1

    def pieces(self, size: int = _PIECE) -> Iterator["Window"]:
        """The same moments in windows of at most `size`."""
        first = self.first
        while first <= self.last:
            last = min(first + (size - 1) * self.step, self.last)
            yield Window(first, last, self.step)
            first = last + self.step


def window(since: datetime, until: datetime, step: timedelta) -> Window:
    """Raises ValueError when no tick lies between `since` and `until`."""
    first = _EPOCH - (_EPOCH - since) // step * step
    last = _EPOCH + (until - _EPOCH) // step * step
    if last < first:
        raise ValueError("no evaluation lies between since and until: since must be the earlier one")
    return Window(first, last, step)


async def replay(
    source: MetricsSource, questions: Iterable[Question], moments: Window, progress: Callable[[int], None]
) -> AsyncIterator[tuple[datetime, Answers]]:
    """Every moment with what the questions were answered with, as instant queries at that moment would have been.

    Args:
        progress: called with the number of steps that have been answered since the last call.

    Raises:
        MetricsError: the source gave no answer that may be believed.
    """
    asked = list(dict.fromkeys(questions))
    same: dict[Question, Answer | MetricsError] = {
        q: await source.query(q.text, q.when) for q in asked if isinstance(q.when, datetime)
    }
    if ALERT_RULES in asked:
        same[ALERT_RULES] = await source.alert_rules()
    moving = [q for q in asked if q not in same]
    for piece in moments.pieces():
        ranges = await asyncio.gather(*(_range(source, question, piece) for question in moving))
        for step in range(piece.steps):
            yield (
                piece.first + step * piece.step,
                same | dict(zip(moving, (r[step] for r in ranges), strict=True)),
            )
        progress(piece.steps)


async def _range(source: MetricsSource, question: Question, piece: Window) -> list[Answer]:
    first, last = question.moment(piece.first), question.moment(piece.last)
    return [
        answer for _, answer in (await source.query_range(question.text, first, last, piece.step)).steps()
    ]
