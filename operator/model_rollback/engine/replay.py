"""Clocks after a restart: nothing is written while nothing changes, so they are rebuilt from the source's history.

What a trigger was asked at every tick since its first bad one is asked again as ranges, and judged by the same core.
A replay never fires: that takes a live tick. Where the history cannot be had, the clock starts anew.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.core.measure import measure
from model_rollback.core.questions import ALERT_RULES, Answers, Question, Questions, questions_of
from model_rollback.core.triggers import TriggerMemory, advance
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, MetricsSource

log = structlog.get_logger(__name__)

MAX_TICKS: Final = 11_000
"""Of one replay; a longer one begins later, and then the clock shows less than it could."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Ticks in the past: the first, how many, and how far apart."""

    start: datetime
    ticks: int
    interval: timedelta

    @property
    def moments(self) -> list[datetime]:
        """All of them, rising."""
        return [self.start + n * self.interval for n in range(self.ticks)]


def stretch(since: datetime, now: datetime, interval: timedelta) -> Stretch:
    """The ticks from `since` on that lie before `now`, at most MAX_TICKS of the newest."""
    ticks = max(0, -((since - now) // interval))
    skipped = max(0, ticks - MAX_TICKS)
    return Stretch(since + skipped * interval, ticks - skipped, interval)


class Replays:
    """The replays of one tick on one source; policies that share a question share its history."""

    def __init__(self, source: MetricsSource, within: timedelta | None = None) -> None:
        """`within`: how long each history is waited for."""
        self._source = source
        self._within = within
        self._asked: dict[tuple[Question, Stretch], asyncio.Task[Sequence[Answer]]] = {}

    async def replay(
        self,
        trigger: Trigger,
        past: Stretch,
        *,
        episode: int,
        target_seen: datetime | None,
        memory: TriggerMemory | None = None,
    ) -> TriggerMemory | None:
        """The memory after those ticks, `memory` being the one before them; None when their history cannot be had."""
        if not past.ticks:
            return None
        questions = questions_of(trigger, clock_runs=True, target_seen=target_seen)
        try:
            histories = {q: await self._history(q, past) for q in dict.fromkeys(questions)}
        except MetricsError as error:
            log.warning(
                "a clock is not rebuilt: its history cannot be had", trigger=trigger.name, error=str(error)
            )
            return None
        for now, answers in _ticks(past, histories):
            memory = _step(trigger, questions, answers, memory, past.interval, episode, now)
        return memory

    async def _history(self, question: Question, past: Stretch) -> Sequence[Answer]:
        """What came back at each tick. Raises MetricsError."""
        key = (question, past)
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(self._ask(question, past))
        return await self._asked[key]

    async def _ask(self, question: Question, past: Stretch) -> Sequence[Answer]:
        if question is ALERT_RULES:
            return [await self._source.alert_rules(within=self._within)] * past.ticks
        if isinstance(question.when, datetime):
            answer = await self._source.query(question.text, question.when, within=self._within)
            return [answer] * past.ticks
        start = question.moment(past.start)
        end = start + (past.ticks - 1) * past.interval
        found = await self._source.query_range(question.text, start, end, past.interval, within=self._within)
        return [answer for _, answer in found.steps()]


def _ticks(
    past: Stretch, histories: Mapping[Question, Sequence[Answer]]
) -> Iterator[tuple[datetime, Answers]]:
    for index, now in enumerate(past.moments):
        yield now, {question: answers[index] for question, answers in histories.items()}


def _step(
    trigger: Trigger,
    questions: Questions,
    answers: Answers,
    memory: TriggerMemory | None,
    interval: timedelta,
    episode: int,
    now: datetime,
) -> TriggerMemory:
    measured = measure(trigger, questions, answers, now=now)
    return advance(trigger, memory, measured, now=now, interval=interval, episode=episode, live=False)
