"""One policy at one tick: measure, remember, decide, and carry the decision out."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog

from model_rollback.api.group import API_VERSION
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1 import ModelDeploymentStatus, RollbackPolicyStatus
from model_rollback.core import decide as deciding
from model_rollback.core.brake import NO_BRAKE, Brake
from model_rollback.core.gates import Observation
from model_rollback.core.measure import measure
from model_rollback.core.plan import make_steps
from model_rollback.core.questions import Answers, Questions, needs_target, questions_of
from model_rollback.core.settling import settling
from model_rollback.core.triggers import TriggerMemory, advance, consume, restore
from model_rollback.core.versions import find_recorded
from model_rollback.engine import artifacts
from model_rollback.engine.announcer import Announcer
from model_rollback.engine.calm import calm_of
from model_rollback.engine.explaining import explain
from model_rollback.engine.healthy_time import freshness, is_healthy
from model_rollback.engine.held import write_status
from model_rollback.engine.store import Key, PolicyEntry, Store, SystemEntry
from model_rollback.engine.targets import TargetWatcher
from model_rollback.engine.tracker import Tracker
from model_rollback.errors import ClusterError, NotFound
from model_rollback.ports import Object, ObjectRef, Objects

log = structlog.get_logger(__name__)


class Starter(Protocol):
    """Starts Rollbacks."""

    async def start(self, policy: PolicyEntry, system: SystemEntry, start: deciding.Start) -> str | None:
        """The name of the Rollback that answers this breach, or None when it could not be started now."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the other policies of the source do at this tick.

    Attributes:
        brake: the fleet brake of the source.
        blind_policies: how many of them cannot be measured.
    """

    brake: Brake = NO_BRAKE
    blind_policies: int = 0


class Evaluator:
    """Total: whatever one policy does, the others are evaluated."""

    def __init__(
        self,
        store: Store,
        objects: Objects,
        targets: TargetWatcher,
        tracker: Tracker,
        announcer: Announcer,
        starter: Starter,
        introduce: Callable[[Object], SystemEntry],
    ) -> None:
        self._store = store
        self._objects = objects
        self._targets = targets
        self._tracker = tracker
        self._announcer = announcer
        self._starter = starter
        self._introduce = introduce
        self._missing: set[Key] = set()

    def seen(self, key: Key) -> None:
        """The ModelDeployment exists (again)."""
        self._missing.discard(key)

    def questions(self, policy: PolicyEntry, *, now: datetime) -> Mapping[str, Questions]:
        """What each trigger of `policy` asks at the tick `now`. Shared while nothing is special about this tick."""
        if policy.spec is None:
            return {}
        triggers = policy.spec.triggers
        running = {name for name, memory in policy.memories.items() if memory.clock_runs}
        relative = {t.name for t in triggers if needs_target(t)}
        if not running and not relative:
            return policy.questions
        seen = self.target_seen(policy, now) if relative else None
        return {
            t.name: questions_of(t, clock_runs=t.name in running, target_seen=seen)
            if t.name in running or t.name in relative
            else policy.questions[t.name]
            for t in triggers
        }

    def target_seen(self, policy: PolicyEntry, now: datetime) -> datetime | None:
        """When the version that a breach would put back was last live."""
        system = self._store.system_of(policy)
        if policy.spec is None or system is None or system.spec is None:
            return None
        target = self._observe(policy, system, Surroundings(), now).choice.candidate
        recorded = find_recorded(system.status, target.digest) if target is not None else None
        return recorded.last_seen if recorded is not None else None

    async def evaluate(self, policy: PolicyEntry, answers: Answers, *, now: datetime) -> None:
        """One tick of one policy. Raises nothing but cancellation."""
        if await self.measure(policy, answers, now=now):
            await self.conclude(policy, Surroundings(), now=now)

    async def measure(self, policy: PolicyEntry, answers: Answers, *, now: datetime) -> bool:
        """The first half: remembers what was measured. Whether there is anything to conclude from it."""
        return await self._guarded(policy, self._measure(policy, answers, now))

    async def conclude(self, policy: PolicyEntry, around: Surroundings, *, now: datetime) -> None:
        """The second half: decides, and carries the decision out."""
        await self._guarded(policy, self._conclude(policy, around, now))

    async def _guarded(self, policy: PolicyEntry, work: Coroutine[Any, Any, bool]) -> bool:
        try:
            async with policy.evaluating:
                return await work
        except NotFound:
            log.debug("policy is gone", policy=str(policy.ref))
        except ClusterError as error:
            log.warning("evaluation was not recorded", policy=str(policy.ref), error=str(error))
        except Exception:
            log.exception("evaluation failed", policy=str(policy.ref))
        return False

    async def _measure(self, policy: PolicyEntry, answers: Answers, now: datetime) -> bool:
        policy.catch_up()
        system = await self._system_of(policy)
        if system is not None and not self._targets.blindness(system) and not _can_judge(system, now):
            return False
        self._advance(policy, system, answers, now)
        return True

    async def _conclude(self, policy: PolicyEntry, around: Surroundings, now: datetime) -> bool:
        system = await self._system_of(policy)
        if system is not None and _is_breached(policy, now):
            system.missing.clear()  # looked for anew: somebody may have brought it back
            if system.status.observed_generation != system.generation:
                # At a first start thousands wait to be tracked, and what is not tracked cannot be rolled back.
                await self._tracker.attend(system.key)
        decided_on = system.status if system is not None else None
        decision = self._decide(policy, system, around, now)
        for said in decision.announcements:
            self._announcer.tell(said.reason, said.message, self._concerned(policy, system))
        if decision.start is not None and system is not None:
            decision = await self._with_values(policy, system, decision, around, now)
        if decision.start is not None and system is not None:
            decision = await self._act(policy, system, decision, decision.start, around, now)
        before = policy.status
        await write_status(self._objects, policy, lambda _: self._wanted(policy, decision.status))
        await self._credit(policy, system, now)
        unchanged = policy.status is before and system is not None and system.status is decided_on
        if unchanged and system is not None and not self._targets.blind:
            policy.calm = calm_of(policy, system, now=now, look_again=decision.look_again)
        return True

    def _decide(
        self, policy: PolicyEntry, system: SystemEntry | None, around: Surroundings, now: datetime
    ) -> deciding.Decision:
        observation = self._observe(policy, system, around, now)
        return deciding.decide(observation, policy.status, generation=policy.generation)

    async def _with_values(
        self,
        policy: PolicyEntry,
        system: SystemEntry,
        decision: deciding.Decision,
        around: Surroundings,
        now: datetime,
    ) -> deciding.Decision:
        """The decision for a version whose kept values are there. One read for each that is looked at, at a breach."""
        while decision.start is not None:
            candidate = decision.start.candidate
            missing = await artifacts.find_missing(self._objects, system, candidate)
            if not missing:
                break
            system.missing[candidate.version] = missing
            decision = self._decide(policy, system, around, now)
        return decision

    async def _act(
        self,
        policy: PolicyEntry,
        system: SystemEntry,
        decision: deciding.Decision,
        start: deciding.Start,
        around: Surroundings,
        now: datetime,
    ) -> deciding.Decision:
        if start.observe_only:
            way = f"would roll back {system.status.current_version} to {start.candidate.version}"
            message = f"{way}: {start.reason}. Steps: {', '.join(_steps(policy, system, start))}"
            self._announcer.tell(Reason.WOULD_ROLL_BACK, message, self._concerned(policy, system))
            return decision
        name = await self._starter.start(policy, system, start)
        if name is None:
            return decision
        policy.memories = consume(policy.memories, start.evidence, name)
        return self._decide(policy, system, around, now)

    def _wanted(self, policy: PolicyEntry, decided: RollbackPolicyStatus) -> RollbackPolicyStatus:
        # `lastRollback` is written by the executor; a conflict must not take it back.
        return decided.model_copy(update={"last_rollback": policy.status.last_rollback})

    async def _system_of(self, policy: PolicyEntry) -> SystemEntry | None:
        """The ModelDeployment from the store; asked for once when its watch event has not come yet."""
        key = policy.system_key
        if key is None or key in self._store.systems or key in self._missing:
            return self._store.systems.get(key) if key is not None else None
        try:
            return self._introduce(await self._objects.get(ObjectRef(API_VERSION, "ModelDeployment", *key)))
        except NotFound:
            self._missing.add(key)
            return None

    def _advance(
        self, policy: PolicyEntry, system: SystemEntry | None, answers: Answers, now: datetime
    ) -> None:
        if policy.spec is None:
            return
        status = system.status if system is not None else ModelDeploymentStatus()
        why = settling(status, warm_up=policy.spec.guards.warm_up, settle=policy.settle, now=now)
        written = {t.name: t for t in policy.status.triggers}
        questions = self.questions(policy, now=now)
        memories: dict[str, TriggerMemory] = {}
        for trigger in policy.spec.triggers:
            memory = policy.memories.get(trigger.name)
            if memory is None and trigger.name in written:
                memory = restore(written[trigger.name], now)
            memories[trigger.name] = advance(
                trigger,
                memory,
                measure(trigger, questions[trigger.name], answers, now=now),
                now=now,
                interval=policy.spec.interval,
                episode=status.episode,
                settling=why,
            )
            explain(policy.ref, trigger, memory, memories[trigger.name])
        policy.memories = memories

    def _observe(
        self, policy: PolicyEntry, system: SystemEntry | None, around: Surroundings, now: datetime
    ) -> Observation:
        problem = policy.problem
        if policy.spec is not None and system is None:
            problem = (
                f"ModelDeployment {policy.spec.model_deployment_ref.name} does not exist in this namespace"
            )
        elif system is not None and system.spec is None:
            problem = f"{system.ref} is invalid: {system.problem}"
        return Observation(
            now=now,
            policy=policy.spec,
            problem=problem,
            system=system.spec if system is not None else None,
            status=system.status if system is not None else ModelDeploymentStatus(),
            live=system.targets if system is not None else [],
            blind=self._targets.blindness(system) if system is not None else "",
            refused=policy.refused,
            triggers=policy.memories,
            missing=dict(system.missing) if system is not None else {},
            brake=around.brake,
            blind_policies=around.blind_policies,
        )

    def _concerned(self, policy: PolicyEntry, system: SystemEntry | None) -> list[dict[str, Any]]:
        return [policy.regarding, *([system.regarding] if system is not None else [])]

    async def _credit(self, policy: PolicyEntry, system: SystemEntry | None, now: datetime) -> None:
        if system is None or policy.system_key is None:
            return
        healthy = is_healthy(list(self._store.policies_of(policy.system_key)), now)
        await self._tracker.credit_healthy_time(
            policy.system_key, healthy=healthy, now=now, longest_gap=freshness(policy)
        )


def _is_breached(policy: PolicyEntry, now: datetime) -> bool:
    """Whether a trigger was found breached at this very tick, and not answered yet."""
    return any(
        m.state == "Breached" and not m.consumed_by and m.observed_at == now for m in policy.memories.values()
    )


def _can_judge(system: SystemEntry, now: datetime) -> bool:
    """Whether what was measured at `now` was measured of what runs: every target was seen, and none changed since."""
    return system.is_known and all(t.changed_at is None or t.changed_at <= now for t in system.targets)


def _steps(policy: PolicyEntry, system: SystemEntry, start: deciding.Start) -> list[str]:
    """The names of the steps that a plan would have now."""
    if system.spec is None or policy.spec is None:
        return []
    live = {t.component: dict(t.pins or {}) for t in system.targets}
    listed = policy.spec.steps
    return [s.name for s in make_steps(system.spec.components, live, start.candidate.values, listed=listed)]
