"""Learns at which moment of the interval a group of policies is best evaluated: just after its samples land."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from model_rollback.core.phase import Age, Lock, learn
from model_rollback.core.questions import Question
from model_rollback.core.selectors import selectors
from model_rollback.engine.store import Group
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Clock

Ask = Callable[[Group, Question, datetime], Coroutine[Any, Any, Answer | MetricsError]]
"""Asks the source of a group one question of a tick."""

_LABEL: Final = "age"
_PRECISION: Final = "0.005"
_MOST_SELECTORS: Final = 4
"""Groups with more selectors are not locked: their samples come from many places, and looking would cost more."""
_LATER: Final = timedelta(seconds=0.5)


class Phasing:
    """The locks of all groups. A look costs two small queries for each selector, twice at first and then seldom."""

    def __init__(self, ask: Ask, clock: Clock, changed: Callable[[], None]) -> None:
        """`changed`: called when a lock has moved."""
        self._ask = ask
        self._clock = clock
        self._changed = changed
        self._locks: dict[Group, Lock] = {}
        self._looking: dict[Group, asyncio.Task[None]] = {}

    def lock(self, group: Group) -> Lock:
        """Where the group's ticks lie now."""
        return self._locks.get(group, Lock())

    def keep(self, groups: Iterable[Group]) -> None:
        """Forgets all other groups."""
        kept = set(groups)
        self._locks = {group: lock for group, lock in self._locks.items() if group in kept}

    def ticked(self, group: Group, tick: datetime, queries: Iterable[str]) -> None:
        """A tick has begun with these queries; looks at the ages of their samples when that is due."""
        lock = self._locks[group] = self.lock(group).ticked()
        running = self._looking.get(group)
        if not lock.look_is_due or (running is not None and not running.done()):
            return
        self._looking[group] = asyncio.create_task(self._look(group, tick, set(queries)))

    async def settled(self, group: Group) -> None:
        """Waits for a look at the group that is under way."""
        running = self._looking.get(group)
        if running is not None:
            await asyncio.wait([running])

    async def stop(self) -> None:
        """Ends looks that are under way."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, group: Group, tick: datetime, queries: set[str]) -> None:
        interval = group[1]
        questions = _age_questions(queries)
        first = again = await self._ages(group, questions, tick)
        if first:
            await self._clock.sleep_until(self._clock.now() + min(_LATER, interval / 4))
            again = await self._ages(group, questions, tick)
        before = self.lock(group)
        after = self._locks[group] = learn(before, first, again, tick, interval)
        if after.offset != before.offset:
            self._changed()

    async def _ages(self, group: Group, questions: Iterable[Question], tick: datetime) -> list[Age]:
        answers = await asyncio.gather(*(self._ask(group, question, tick) for question in questions))
        if any(isinstance(answer, MetricsError) for answer in answers):
            return []
        return [age for answer in answers if isinstance(answer, Answer) for age in _read(answer)]


def _age_questions(queries: set[str]) -> list[Question]:
    """How many series of each selector have a sample of which age; nothing when there are too many selectors."""
    if len(queries) > _MOST_SELECTORS:
        return []
    distinct = sorted({selector for query in queries for selector in selectors(query)})
    if len(distinct) > _MOST_SELECTORS:
        return []
    return [
        Question(f'count_values("{_LABEL}", round(time() - timestamp({selector}), {_PRECISION}))')
        for selector in distinct
    ]


def _read(answer: Answer) -> list[Age]:
    ages = []
    for sample in answer.samples:
        seconds = float(sample.labels.get(_LABEL, "nan"))
        if math.isfinite(seconds) and math.isfinite(sample.value):
            ages.append(Age(timedelta(seconds=seconds), int(sample.value)))
    return ages
