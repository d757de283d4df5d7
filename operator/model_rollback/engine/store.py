"""What this process knows: policies, ModelDeployments with their live targets, and unfinished Rollbacks.

Fed by watch events; holds specs, statuses and digests, never whole targets. One object that cannot be read marks
itself only.
"""

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from model_rollback.api.group import ANNOTATION_EVIDENCE
from model_rollback.api.sharing import Newest
from model_rollback.api.v1alpha1 import (
    ModelDeploymentSpec,
    ModelDeploymentStatus,
    RollbackPolicySpec,
    RollbackPolicyStatus,
    RollbackSpec,
    RollbackStatus,
)
from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.rollback_record import Evidence
from model_rollback.core.calm import Calm
from model_rollback.core.health import HealthClock
from model_rollback.core.kinds import problems
from model_rollback.core.live import LiveTarget
from model_rollback.core.machine import Change
from model_rollback.core.plan import settle_of
from model_rollback.core.presets import Policy, resolve_policy
from model_rollback.core.questions import Question, Questions, questions_of
from model_rollback.core.readiness import NOT_SEEN, Readiness
from model_rollback.core.tenancy import SourceRules
from model_rollback.core.triggers import TriggerMemory, forget_clock
from model_rollback.engine.consumers import ref_of_consumer
from model_rollback.engine.held import Held
from model_rollback.ports import Object, ObjectRef

Key = tuple[str, str]
"""(namespace, name)."""

Group = tuple[str, timedelta]
"""(metrics source, interval)."""

EVIDENCE: TypeAdapter[tuple[Evidence, ...]] = TypeAdapter(tuple[Evidence, ...])
"""Evidence as JSON, as it stands in a Rollback's annotation."""

_ASKED: Final[Newest[tuple[Question, ...], tuple[Question, ...]]] = Newest(1024)

log = structlog.get_logger(__name__)


def key_of(body: Object) -> Key:
    """The object's key."""
    return (body["metadata"]["namespace"], body["metadata"]["name"])


def explain(error: ValidationError) -> str:
    """A validation error for people: where, and what must hold there."""
    parts = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        parts.append(f"spec.{where}: {item['msg'].removeprefix('Value error, ')}" if where else item["msg"])
    return "; ".join(parts)[:1000]


def _place(where: Sequence[str | int]) -> str:
    return ".".join(["spec", *map(str, where)])


def _shared(asked: tuple[Question, ...]) -> tuple[Question, ...]:
    return _ASKED.find(asked) or _ASKED.keep(asked, asked)


class PolicyEntry(Held[RollbackPolicyStatus]):
    """A policy: its spec, or the problem with it, and what its triggers remember.

    `system_key`: the ModelDeployment that it protects; None while the spec is invalid.
    `settle`: how long old samples stay in the windows of its queries.
    `questions`: what its triggers ask at an ordinary tick. `asked`: all of them; policies that ask the same share it.
    `refused`: why the API server did not let its last Rollback start.
    `calm`: while its ticks need not be looked at in full.
    `recalled`: whether its clocks need no history any more.
    `met`: whether this process has measured it; until then its status is what another one wrote.
    """

    def __init__(self, body: Object, rules: SourceRules | None = None) -> None:
        """`rules`: what its namespace may use; default everything."""
        self._rules = rules or SourceRules()
        self.spec: Policy | None = None
        self.system_key: Key | None = None
        self.problem = ""
        self.memories: dict[str, TriggerMemory] = {}
        self.evaluating = asyncio.Lock()
        self.settle = timedelta(0)
        self.questions: Mapping[str, Questions] = {}
        self.asked: tuple[Question, ...] = ()
        self.refused = ""
        self.calm: Calm | None = None
        self.recalled = False
        self.met = False
        super().__init__("RollbackPolicy", RollbackPolicyStatus, body)

    def catch_up(self) -> None:
        """Ends the calm: the triggers remember the ticks that were passed over, which were healthy."""
        calm, self.calm = self.calm, None
        if calm is not None:
            self.memories = {
                name: replace(memory, observed_at=calm.seen, judged_at=calm.seen)
                if memory.observed_at < calm.seen
                else memory
                for name, memory in self.memories.items()
            }

    def adopt_spec(self, body: Object) -> None:
        """Parses the spec; a trigger that was edited forgets its clock, not the breach that is open."""
        old = {t.name: t for t in self.spec.triggers} if self.spec is not None else {}
        try:
            self.spec = resolve_policy(RollbackPolicySpec.model_validate(body.get("spec") or {}))
            # Not among the policies that are ticked, so that nothing of it is ever asked.
            self.problem = self._rules.refusal(self.spec.metrics_source, body["metadata"]["namespace"])
            self.spec = None if self.problem else self.spec
        except ValidationError as error:
            self.spec, self.problem = None, explain(error)
        except ValueError as error:
            self.spec, self.problem = None, str(error)
        if self.unreadable:
            self.spec, self.problem = None, self.unreadable
        spec = self.spec
        self.system_key = (self.ref.namespace, spec.model_deployment_ref.name) if spec is not None else None
        triggers = spec.triggers if spec is not None else []
        self.questions = {t.name: questions_of(t) for t in triggers}
        self.asked = _shared(tuple(itertools.chain.from_iterable(self.questions.values())))
        self.settle = settle_of(spec) if spec is not None else timedelta(0)
        new = {t.name: t for t in triggers} if spec is not None else old
        self.memories = {
            name: memory if new[name] == old.get(name) else forget_clock(memory)
            for name, memory in self.memories.items()
            if name in new
        }


class SystemEntry(Held[ModelDeploymentStatus]):
    """A ModelDeployment: its spec, or the problem with it, its targets as last seen, and its healthy clock.

    `missing`: version → what of its kept values was not there at the last breach.
    `pods_seen`: component → the `ready_at` of its target when its pods were looked at last.
    `keeping`: held from the moment a version is kept until the history names it. Taken before `writing`.
    """

    def __init__(self, body: Object) -> None:
        self.spec: ModelDeploymentSpec | None = None
        self.problem = ""
        self.live: dict[str, LiveTarget] = {}
        self.consumers: dict[ObjectRef, Readiness] = {}
        self.health = HealthClock()
        self.missing: dict[str, str] = {}
        self.pods_seen: dict[str, datetime] = {}
        self.keeping = asyncio.Lock()
        super().__init__("ModelDeployment", ModelDeploymentStatus, body)

    def adopt_spec(self, body: Object) -> None:
        """Parses the spec; targets of components that changed are looked at anew."""
        old = {c.name: c for c in self.spec.components} if self.spec is not None else {}
        try:
            self.spec = ModelDeploymentSpec.model_validate(body.get("spec") or {})
            self.problem = "; ".join(f"{_place(where)}: {what}" for where, what in problems(self.spec))[:1000]
            self.spec = None if self.problem else self.spec
        except ValidationError as error:
            self.spec, self.problem = None, explain(error)
        if self.unreadable:
            self.spec, self.problem = None, self.unreadable
        if old and self.spec is not None:
            kept = {c.name for c in self.spec.components if old.get(c.name) == c}
            self.live = {name: t for name, t in self.live.items() if name in kept}

    @property
    def is_known(self) -> bool:
        """Whether every target has been looked at since the start."""
        return self.spec is None or all(c.name in self.live for c in self.spec.components)

    @property
    def targets(self) -> list[LiveTarget]:
        """Targets in the order of the components; one that is ready waits for those who read it."""
        components = self.spec.components if self.spec is not None else []
        return [self._with_consumers(c, self.live[c.name]) for c in components if c.name in self.live]

    def _with_consumers(self, component: Component, target: LiveTarget) -> LiveTarget:
        if not target.readiness.ready:
            return target
        for consumer in component.restart:
            ref = ref_of_consumer(self.ref.namespace, consumer)
            found = self.consumers.get(ref, NOT_SEEN)
            if not found.ready:
                message = f"{consumer.kind} {consumer.name}, which reads it: {found.message}"
                return replace(target, readiness=replace(found, message=message))
        return target


class RollbackEntry(Held[RollbackStatus]):
    """A Rollback under way. `handed_over`: evidence of the breach that started it, until the plan records it."""

    spec: RollbackSpec

    def __init__(self, body: Object, handed_over: tuple[Evidence, ...] = ()) -> None:
        """`handed_over`: with samples, from the process that judged; else what it wrote on the object."""
        self.handed_over = handed_over or _written_evidence(body)
        self._created_at = str(body["metadata"].get("creationTimestamp", ""))
        super().__init__("Rollback", RollbackStatus, body)

    @property
    def created_at(self) -> str:
        """When it was created, as the API server writes it: in UTC, so it can be put in order."""
        return self._created_at

    @property
    def from_version(self) -> str:
        """What runs before it: as planned, else as asked for; empty while neither says so."""
        return self.status.from_version or self.spec.from_version or ""

    @property
    def from_digest(self) -> str:
        """The identity of `from_version`."""
        return self.status.from_digest or self.spec.from_digest or ""

    @property
    def to_digest(self) -> str:
        """The identity of the version that was put back last; empty before the plan."""
        return next((t.digest for t in self.status.targets if t.version == self.status.to_version), "")

    def observed(self, change: Change) -> Change:
        """`change`, on a status that says which generation of the spec it was decided on."""
        seen = {"observed_generation": self.generation}
        return lambda status: change(status.model_copy(update=seen))

    def adopt_spec(self, body: Object) -> None:
        """The API server has checked it; a Rollback of another version of the API raises ValidationError."""
        self.spec = RollbackSpec.model_validate(body["spec"])


def _written_evidence(body: Object) -> tuple[Evidence, ...]:
    """Total: an annotation that somebody spoilt counts as none."""
    text = (body["metadata"].get("annotations") or {}).get(ANNOTATION_EVIDENCE)
    if text is None:
        return ()
    try:
        return EVIDENCE.validate_json(text)
    except ValidationError as error:
        log.warning("evidence cannot be read", rollback=body["metadata"]["name"], error=explain(error))
        return ()


class Store:
    """All entries by key; `groups`: the valid policies that are evaluated together."""

    def __init__(self, rules: SourceRules | None = None) -> None:
        self._rules = rules
        self.policies: dict[Key, PolicyEntry] = {}
        self.systems: dict[Key, SystemEntry] = {}
        self._policies_of: dict[Key, set[Key]] = {}
        self._group_of: dict[Key, Group] = {}
        self.groups: dict[Group, dict[Key, PolicyEntry]] = {}

    def put_policy(self, body: Object) -> PolicyEntry:
        """Takes over a policy's newest state. One that was deleted and made anew remembers nothing of its namesake."""
        key = key_of(body)
        entry = self.policies.get(key)
        if entry is not None:
            self._unlink(entry, key)
        if entry is None or entry.uid != body["metadata"].get("uid"):
            entry = self.policies[key] = PolicyEntry(body, self._rules)
        else:
            entry.adopt(body)
        if entry.system_key is not None:
            self._policies_of.setdefault(entry.system_key, set()).add(key)
        self._put_into_group(entry, key)
        return entry

    def _put_into_group(self, entry: PolicyEntry, key: Key) -> None:
        self._leave_group(key)
        if entry.spec is not None:
            group = self._group_of[key] = (entry.spec.metrics_source, entry.spec.interval)
            self.groups.setdefault(group, {})[key] = entry

    def _leave_group(self, key: Key) -> None:
        group = self._group_of.pop(key, None)
        if group is not None:
            del self.groups[group][key]
            if not self.groups[group]:
                del self.groups[group]

    def drop_policy(self, key: Key) -> None:
        """Forgets a deleted policy."""
        entry = self.policies.pop(key, None)
        if entry is not None:
            self._unlink(entry, key)
            self._leave_group(key)

    def _unlink(self, entry: PolicyEntry, key: Key) -> None:
        if entry.system_key is not None:
            self._policies_of.get(entry.system_key, set()).discard(key)

    def put_system(self, body: Object) -> SystemEntry:
        """Takes over a ModelDeployment's newest state."""
        key = key_of(body)
        entry = self.systems.get(key)
        if entry is None or entry.uid != body["metadata"].get("uid"):
            entry = self.systems[key] = SystemEntry(body)
        else:
            entry.adopt(body)
        return entry

    def drop_system(self, key: Key) -> None:
        """Forgets a deleted ModelDeployment."""
        self.systems.pop(key, None)

    def system_of(self, policy: PolicyEntry) -> SystemEntry | None:
        """The ModelDeployment that a policy protects, as far as it is known."""
        key = policy.system_key
        return self.systems.get(key) if key is not None else None

    def policy_of(self, rollback: RollbackEntry) -> PolicyEntry | None:
        """The policy of a Rollback, as far as it is known."""
        return self.policies.get((rollback.ref.namespace, rollback.spec.policy_ref.name))

    def policies_of(self, key: Key) -> Iterator[PolicyEntry]:
        """The valid policies that protect a ModelDeployment."""
        linked = (self.policies[k] for k in sorted(self._policies_of.get(key, ())) if k in self.policies)
        return (policy for policy in linked if policy.system_key == key)
