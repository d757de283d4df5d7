"""One tick of all policies of a group: first every one is measured, then each that has something to conclude acts.

Measuring comes first for all, because how many turn Breached at once, and how many cannot be measured, bears on what
each of them may do.
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import structlog

from model_rollback import telemetry
from model_rollback.api.conditions import find_condition
from model_rollback.api.reasons import Reason
from model_rollback.core.brake import NO_BRAKE, WINDOW, Brake, BrakeRule
from model_rollback.core.questions import Answers
from model_rollback.engine.calm import pass_over
from model_rollback.engine.evaluator import Evaluator, Surroundings
from model_rollback.engine.store import Group, Key, PolicyEntry, Store
from model_rollback.engine.turns import all_in_turns, each

log = structlog.get_logger(__name__)

_WITH_THE_TICK: Final = 200
"""Quiet policies that are concluded before the tick ends; more of them are concluded beside the ticks that follow."""

_BREACHES_WITH_THE_TICK: Final = 50
"""Of a storm: the others are concluded beside the ticks that follow, so that these see whoever else breaches."""

_AT_ONCE: Final = 8
"""Systems whose policies are concluded side by side: a storm is bound by the API server, not by its answers' delay."""


class Fleet:
    """Evaluates the policies of a source together, and holds the source's brake."""

    def __init__(self, store: Store, evaluator: Evaluator, rule: BrakeRule) -> None:
        self._store = store
        self._evaluator = evaluator
        self._rule = rule
        self._brakes: dict[str, Brake] = {}
        self._blind: dict[Group, int] = {}
        self._backlog = Backlog(evaluator)

    async def evaluate(
        self,
        group: Group,
        policies: Sequence[PolicyEntry],
        answers: Answers,
        *,
        now: datetime,
    ) -> None:
        """One tick; every question of every policy has its answer."""
        awake = await self._measure(policies, answers, now)
        around = self._look_around(group, awake, now)

        async def conclude(together: Sequence[PolicyEntry]) -> None:
            for policy in together:
                await self._evaluator.conclude(policy, around, now=now)

        # Breaches first, and the next tick soon: neither may wait until thousands of others have had their status
        # written, as after a start or when a source fails; nor may a storm, until those it has answered have.
        quiet = [policy for policy in awake if is_quiet(policy)]
        breached = [policy for policy in awake if not is_quiet(policy)]
        few = 0 if len(breached) > _BREACHES_WITH_THE_TICK else _WITH_THE_TICK
        with_the_tick = breached[:_BREACHES_WITH_THE_TICK] + quiet[:few]
        self._backlog.drop(with_the_tick)
        # At once: concluded as it was at a tick before, a breach that was measured anew would start nothing.
        self._backlog.put(breached[_BREACHES_WITH_THE_TICK:], around, now=now)
        await each(_by_system(with_the_tick), conclude, at_once=_AT_ONCE)
        self._backlog.put(quiet[few:], around, now=now)
        telemetry.EVALUATIONS.inc(len(policies))

    def forget(self, group: Group, left: Collection[Group]) -> None:
        """The group has no policy any more. `left`: those that have."""
        source = group[0]
        self._blind.pop(group, None)
        if any(name == source for name, _ in left):
            telemetry.POLICIES_BLIND.labels(source).set(self._blind_of(source))
        else:
            self._brakes.pop(source, None)
            telemetry.forget_source(source)

    async def stop(self) -> None:
        """Ends what is done beside the ticks."""
        await self._backlog.stop()
        telemetry.forget_judgements()

    async def _measure(
        self, policies: Sequence[PolicyEntry], answers: Answers, now: datetime
    ) -> list[PolicyEntry]:
        """Those that are not passed over.

        A policy whose last conclusion or Rollback is still being written misses this tick: the others do not wait.
        """
        stirred: list[PolicyEntry] = []
        awake: list[PolicyEntry] = []

        def look(policy: PolicyEntry) -> None:
            system = self._store.system_of(policy)
            if not pass_over(policy, system, answers, now=now):
                stirred.append(policy)

        async def measure(policy: PolicyEntry) -> None:
            if not policy.evaluating.locked() and await self._evaluator.measure(policy, answers, now=now):
                awake.append(policy)

        await all_in_turns(policies, look)
        await each(stirred, measure)
        return awake

    def _look_around(self, group: Group, awake: Sequence[PolicyEntry], now: datetime) -> Surroundings:
        source = group[0]
        self._blind[group] = sum(_is_blind(policy) for policy in awake)
        blind = self._blind_of(source)
        telemetry.POLICIES_BLIND.labels(source).set(blind)
        turned, held = sum(_turned(p, now) for p in awake), any(_was_held(p) for p in awake)
        for policy in awake:
            policy.met = True
        return Surroundings(self._brake(source, turned, now, held=held), blind)

    def _blind_of(self, source: str) -> int:
        return sum(count for (name, _), count in self._blind.items() if name == source)

    def _brake(self, source: str, turned: int, now: datetime, *, held: bool) -> Brake:
        before = self._brakes.get(source, NO_BRAKE)
        if not turned and not held and not before.turned and before.until is None:
            return before
        policies = sum(
            p.spec is not None and p.spec.metrics_source == source for p in self._store.policies.values()
        )
        after = before.after(turned, policies, self._rule, now=now)
        if held and after.until is None:
            after = after.engaged_again(self._rule, now=now)
        self._brakes[source] = after
        if after.until != before.until:
            telemetry.FLEET_BRAKE.labels(source).set(after.until is not None)
            if after.until is not None:
                log.warning(
                    "fleet brake engaged", source=source, why=after.share, until=after.until.isoformat()
                )
            else:
                log.info("fleet brake released", source=source)
        return after


class Backlog:
    """Policies that a tick did not wait for. Each is concluded once, as it was at its newest tick."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._waiting: dict[PolicyEntry, tuple[Surroundings, datetime]] = {}
        self._working: asyncio.Task[None] | None = None

    def put(self, policies: Sequence[PolicyEntry], around: Surroundings, *, now: datetime) -> None:
        """They are concluded as soon as the API server has taken what came before."""
        self._waiting |= dict.fromkeys(policies, (around, now))
        if self._waiting and (self._working is None or self._working.done()):
            self._working = asyncio.create_task(self._work_off(), name="backlog")

    def drop(self, policies: Sequence[PolicyEntry]) -> None:
        """They are concluded by a newer tick."""
        for policy in policies:
            self._waiting.pop(policy, None)

    async def stop(self) -> None:
        """What still waits is forgotten; the next tick of whoever comes then sees it again."""
        self._waiting.clear()
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    async def _work_off(self) -> None:
        async def conclude(together: Sequence[PolicyEntry]) -> None:
            for policy in together:
                waits = self._waiting.pop(policy, None)
                if waits is not None:
                    await self._evaluator.conclude(policy, waits[0], now=waits[1])

        while self._waiting:
            await each(_by_system(list(self._waiting)), conclude, at_once=_AT_ONCE)


def _by_system(policies: Sequence[PolicyEntry]) -> list[list[PolicyEntry]]:
    """Policies of one ModelDeployment follow each other: they share its lock and its healthy time."""
    found: dict[Key | None, list[PolicyEntry]] = {}
    for policy in policies:
        found.setdefault(policy.system_key, []).append(policy)
    return list(found.values())


def is_quiet(policy: PolicyEntry) -> bool:
    """Whether no breach waits for an answer."""
    return all(m.state != "Breached" or m.consumed_by for m in policy.memories.values())


def _turned(policy: PolicyEntry, now: datetime) -> bool:
    """Whether it turned Breached at this tick; or lately, as a process before this one saw and wrote."""
    return any(
        m.state == "Breached" and (m.since == m.observed_at or (not policy.met and now - WINDOW < m.since))
        for m in policy.memories.values()
    )


def _was_held(policy: PolicyEntry) -> bool:
    """Whether the brake of a process before this one held it, and it is Breached still."""
    if policy.met or is_quiet(policy):
        return False
    armed = find_condition(policy.status.conditions, "Armed")
    return armed is not None and armed.reason == Reason.FLEET_BRAKE


def _is_blind(policy: PolicyEntry) -> bool:
    return any(m.measurement is not None and m.measurement.blind for m in policy.memories.values())
