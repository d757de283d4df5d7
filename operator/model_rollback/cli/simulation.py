"""Plays a policy tick by tick, on the operator's own core: nothing about triggers, gates or targets is said here again.

What it assumes of the world: targets are there, and a Rollback that starts reverts at once and succeeds after
`settle` and `duration`. The metrics are what the caller says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from model_rollback.api.conditions import find_condition
from model_rollback.api.v1alpha1 import RollbackPolicyStatus
from model_rollback.cli.stage import Stage, finished, reverted
from model_rollback.core.candidates import choose
from model_rollback.core.decide import Decision, Start, decide
from model_rollback.core.gates import Observation
from model_rollback.core.measure import measure
from model_rollback.core.plan import resolve_procedure, rollback_name, settle_of
from model_rollback.core.presets import Policy
from model_rollback.core.questions import Answers, Questions, questions_of
from model_rollback.core.settling import settling
from model_rollback.core.triggers import TriggerMemory, advance, consume
from model_rollback.core.versions import find_recorded


@dataclass(frozen=True, slots=True)
class Tick:
    """What one evaluation came to.

    Attributes:
        triggers: name → memory.
        start: the rollback that started here; in mode Observe the one that would have.
        blocked: the gate that would keep a breach from starting one (the reason of `Armed=False`), and why.
    """

    at: datetime
    triggers: Mapping[str, TriggerMemory]
    start: Start | None
    blocked: str
    why_blocked: str


class Simulation:
    """One policy on one stage. `reverts`: whether a Rollback changes what runs; in a replay of history it does not."""

    def __init__(self, policy: Policy, stage: Stage, interval: timedelta, *, reverts: bool) -> None:
        self._policy = policy
        self._stage = stage
        self._interval = interval
        self._reverts = reverts
        self._status = RollbackPolicyStatus()
        self._memories: dict[str, TriggerMemory] = {}
        self._done_at: datetime | None = None
        self._asked: tuple[Stage, Mapping[str, Questions]] | None = None

    def questions(self, now: datetime) -> Mapping[str, Questions]:
        """Trigger → all that it may ask at that moment."""
        if self._asked is None or self._asked[0] is not self._stage:
            target = choose(self._policy.target, self._stage.spec, self._stage.status, now=now).candidate
            recorded = find_recorded(self._stage.status, target.digest) if target is not None else None
            seen = recorded.last_seen if recorded is not None else None
            asked = {
                t.name: questions_of(t, clock_runs=True, target_seen=seen) for t in self._policy.triggers
            }
            self._asked = (self._stage, asked)
        return self._asked[1]

    def tick(self, now: datetime, answers: Mapping[str, Answers]) -> Tick:
        """One evaluation. `answers`: trigger → what its `questions` were answered with."""
        questions = self.questions(now)
        if self._done_at is not None and now >= self._done_at:
            self._stage = finished(self._stage, self._stage.status.active_rollback, at=self._done_at)
            self._done_at = None
        why = settling(
            self._stage.status,
            warm_up=self._policy.guards.warm_up,
            settle=settle_of(self._policy),
            now=now,
        )
        self._memories = {
            trigger.name: advance(
                trigger,
                self._memories.get(trigger.name),
                measure(trigger, questions[trigger.name], answers[trigger.name], now=now),
                now=now,
                interval=self._interval,
                episode=self._stage.status.episode,
                settling=why,
            )
            for trigger in self._policy.triggers
        }
        memories = self._memories
        if not self._reverts and not self._may_matter():
            return Tick(now, memories, None, "", "")
        decision = self._decide(now)
        armed = find_condition(decision.status.conditions, "Armed")
        blocked = armed is not None and armed.status == "False"
        if decision.start is not None and not decision.start.observe_only:
            self._begin(decision.start, now)
            self._status = self._decide(now).status
        else:
            self._status = decision.status
        return Tick(
            now,
            memories,
            decision.start,
            armed.reason if armed is not None and blocked else "",
            armed.message if armed is not None and blocked else "",
        )

    def _may_matter(self) -> bool:
        """Whether deciding may come to anything new; over a month of history, it mostly may not."""
        written = {t.name: (t.state, t.consumed_by) for t in self._status.triggers}
        return any(
            written.get(name) != (m.state, m.consumed_by) or (m.state == "Breached" and not m.consumed_by)
            for name, m in self._memories.items()
        )

    def _decide(self, now: datetime) -> Decision:
        observation = Observation(
            now=now,
            policy=self._policy,
            problem="",
            system=self._stage.spec,
            status=self._stage.status,
            live=self._stage.live,
            blind="",
            triggers=self._memories,
        )
        return decide(observation, self._status, generation=1)

    def _begin(self, start: Start, now: datetime) -> None:
        """The Rollback reverts at once, and is done when its validation would be."""
        name = self._policy.model_deployment_ref.name
        status = self._stage.status
        rollback = rollback_name(name, "simulated", status.episode, status.attempt)
        self._memories = consume(self._memories, start.evidence, rollback)
        to = start.candidate.version
        if not self._reverts:
            self._stage = finished(self._stage, rollback, at=now, moved=False)
            return
        procedure = resolve_procedure(self._policy, [e.trigger for e in start.evidence])
        self._stage = reverted(self._stage, to, rollback, now=now, quarantine=procedure.quarantine)
        self._done_at = now + procedure.settle + procedure.duration
