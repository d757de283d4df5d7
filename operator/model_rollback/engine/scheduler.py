"""Ticks: policies on one source and interval are evaluated together, and each distinct query is asked once.

A tick is due at a multiple of its interval since the epoch, shifted to just after the samples land where that moment
is known (`engine.phasing`). Its queries carry that moment as `time`; so replicas and replays see the same samples. A
slow source delays its own policies and no others.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from model_rollback import telemetry
from model_rollback.core.brake import BrakeRule
from model_rollback.core.phase import next_tick
from model_rollback.core.questions import ALERT_RULES, Answers, Question
from model_rollback.engine.evaluator import Evaluator
from model_rollback.engine.fleet import Fleet
from model_rollback.engine.phasing import Phasing
from model_rollback.engine.recall import Recall
from model_rollback.engine.store import Group, PolicyEntry, Store
from model_rollback.engine.turns import all_in_turns
from model_rollback.engine.wakeups import wait_until
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Clock, MetricsSource

log = structlog.get_logger(__name__)

_FOR_ANSWERS: Final = 0.9
"""Share of the interval after which a tick goes on without the answers that are missing: the next tick is its own."""
_FOR_HISTORY: Final = 0.4
"""Share of the interval, of the same, that clocks may take to be rebuilt after a start."""


async def ask(
    sources: Mapping[str, MetricsSource],
    source: str,
    question: Question,
    tick: datetime,
    *,
    within: timedelta | None = None,
) -> Answer | MetricsError:
    """One query; an error is an answer too. `within`: how long to wait for it, whatever the source's own time-out."""
    known = sources.get(source)
    if known is None:
        names = ", ".join(sorted(sources)) or "none"
        return MetricsError(
            "unknown_source", f"the operator's configuration has no metricsSource {source!r}; it has: {names}"
        )
    telemetry.QUERIES.labels(source).inc()
    began = time.perf_counter()
    try:
        if question is ALERT_RULES:
            return await known.alert_rules(within=within)
        return await known.query(question.text, question.moment(tick), within=within)
    except MetricsError as error:
        telemetry.QUERY_ERRORS.labels(source, error.kind).inc()
        return error
    finally:
        telemetry.QUERY_SECONDS.labels(source).observe(time.perf_counter() - began)


async def ask_all(
    sources: Mapping[str, MetricsSource],
    source: str,
    questions: Iterable[Question],
    tick: datetime,
    *,
    within: timedelta | None = None,
) -> Answers:
    """Each distinct question once, side by side."""
    distinct = list(dict.fromkeys(questions))
    answers = await asyncio.gather(*(ask(sources, source, one, tick, within=within) for one in distinct))
    return dict(zip(distinct, answers, strict=True))


class Scheduler:
    """One loop for all policies.

    Attributes:
        ticked: set when the first tick is over.
    """

    def __init__(
        self,
        store: Store,
        sources: Mapping[str, MetricsSource],
        evaluator: Evaluator,
        clock: Clock,
        brake: BrakeRule,
    ) -> None:
        self._store = store
        self._sources = sources
        self._evaluator = evaluator
        self._fleet = Fleet(store, evaluator, brake)
        self._recall = Recall(store, sources, evaluator.target_seen)
        self._clock = clock
        self.ticked = asyncio.Event()
        self._changed = asyncio.Event()
        self._ticks: dict[Group, asyncio.Task[None]] = {}
        self._last: dict[Group, datetime] = {}
        self._phasing = Phasing(
            lambda group, question, tick: ask(sources, group[0], question, tick, within=group[1]),
            clock,
            self.wake,
        )

    def wake(self) -> None:
        """Policies were added, changed or removed, or the moment of their ticks has moved."""
        self._changed.set()

    async def run(self) -> None:
        """Endless. When cancelled, running ticks are cancelled too."""
        try:
            while True:
                await self._run_due()
        finally:
            await self._phasing.stop()
            await self._fleet.stop()
            ticks = list(self._ticks.values())
            for task in ticks:
                task.cancel()
            await asyncio.gather(*ticks, return_exceptions=True)

    async def _run_due(self) -> None:
        self._changed.clear()
        now = self._clock.now()
        groups = self._store.groups
        for group, last in self._last.items():
            # A clock that was set back must not make the ticks wait for the old time to return.
            self._last[group] = min(last, now)
        for group in [known for known in self._last if known not in groups]:
            del self._last[group]
            self._fleet.forget(group, groups)
        for group in groups:
            # One that is new is not due behind a tick of its own: its first is the next moment, however near.
            self._last.setdefault(group, now - group[1] / 2)
            if self._due(group) <= now:
                # The newest moment that has passed: ticks that were missed are not made up for.
                self._begin(group, self._next(group, now - group[1]), list(groups[group].values()))
        self._phasing.keep(groups)
        upcoming = [self._due(group) for group in groups]
        await wait_until(self._clock, self._changed, min(upcoming, default=None))

    def _due(self, group: Group) -> datetime:
        """The tick after the last one; when the samples' phase was learned meanwhile, not right behind it."""
        last, interval = self._last[group], group[1]
        due = self._next(group, last)
        return due if due - last >= interval / 2 else due + interval

    def _next(self, group: Group, after: datetime) -> datetime:
        return next_tick(after, group[1], self._phasing.lock(group).offset)

    def _begin(self, group: Group, moment: datetime, policies: list[PolicyEntry]) -> None:
        self._last[group] = moment
        running = self._ticks.get(group)
        if running is not None and not running.done():
            telemetry.TICKS_SKIPPED.labels(group[0]).inc()
            log.warning(
                "tick skipped: the one before is still running", source=group[0], interval=str(group[1])
            )
            return
        self._ticks[group] = asyncio.create_task(self._tick(group, moment, policies))

    async def _tick(self, group: Group, moment: datetime, policies: list[PolicyEntry]) -> None:
        telemetry.TICK_LAG_SECONDS.observe(self._behind(moment))
        self._phasing.ticked(group, moment, (q.value.text for p in policies for q in p.questions.values()))
        source, interval = group
        began = time.perf_counter()
        await self._recall.recall(policies, source, now=moment, within=_FOR_HISTORY * interval)
        questions = await self._all_questions(policies, moment)
        left = _FOR_ANSWERS * interval - timedelta(seconds=round(time.perf_counter() - began, 1))
        # At a start this process itself may have been slow; that is no fault of the source.
        left = max(left, (_FOR_ANSWERS - _FOR_HISTORY) * interval)
        answers = await ask_all(self._sources, source, questions, moment, within=left)
        answered = await self._answered(policies, group, moment, answers)
        began = time.perf_counter()
        await self._fleet.evaluate(group, answered, answers, now=moment)
        telemetry.EVALUATION_SECONDS.observe(time.perf_counter() - began)
        if group in self._store.groups:
            telemetry.LAST_EVALUATION.labels(source).set(moment.timestamp())
        telemetry.TICK_SECONDS.observe(self._behind(moment))
        self.ticked.set()

    def _behind(self, moment: datetime) -> float:
        """Seconds since `moment`."""
        return max(0.0, (self._clock.now() - moment).total_seconds())

    async def _all_questions(self, policies: list[PolicyEntry], moment: datetime) -> Iterable[Question]:
        questions: dict[Question, None] = {}
        usual: dict[int, tuple[Question, ...]] = {}

        def add(policy: PolicyEntry) -> None:
            if policy.calm is not None:
                usual[id(policy.asked)] = policy.asked
            else:
                questions.update(dict.fromkeys(self._questions(policy, moment)))

        await all_in_turns(policies, add)
        questions.update(dict.fromkeys(itertools.chain.from_iterable(usual.values())))
        return questions

    async def _answered(
        self, policies: list[PolicyEntry], group: Group, moment: datetime, answers: Answers
    ) -> list[PolicyEntry]:
        answered = []
        # Holding the questions keeps their id theirs.
        known: dict[int, tuple[bool, tuple[Question, ...]]] = {}

        def look(policy: PolicyEntry) -> None:
            if not self._is_of(policy, group):
                return
            if policy.calm is None:
                found = all(question in answers for question in self._questions(policy, moment))
            else:
                asked = policy.asked
                usual = known.get(id(asked))
                if usual is None:
                    usual = known[id(asked)] = (all(question in answers for question in asked), asked)
                found = usual[0]
            if found:
                answered.append(policy)

        await all_in_turns(policies, look)
        return answered

    def _questions(self, policy: PolicyEntry, moment: datetime) -> Iterator[Question]:
        return itertools.chain.from_iterable(self._evaluator.questions(policy, now=moment).values())

    def _is_of(self, policy: PolicyEntry, group: Group) -> bool:
        """Whether it belongs to the group still; it may have been edited or deleted while its answers came."""
        spec = policy.spec
        return (
            spec is not None
            and self._store.policies.get(policy.key) is policy
            and (spec.metrics_source, spec.interval) == group
        )
