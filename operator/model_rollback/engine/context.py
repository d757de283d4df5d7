"""What every phase of a Rollback works with: the world around it, its objects, and how it writes and speaks."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model_rollback.api.group import API_VERSION
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1 import RollbackStatus
from model_rollback.api.v1alpha1.artifacts import PlannedArtifact
from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.probe import JobProbe
from model_rollback.api.v1alpha1.rollback_record import PlannedTarget, Procedure, Step
from model_rollback.core import machine
from model_rollback.core.machine import phase_of
from model_rollback.core.pins import PinValues, Values, identity_of
from model_rollback.engine import lock, revisions
from model_rollback.engine.announcer import Announcer
from model_rollback.engine.held import named, write_status
from model_rollback.engine.jobs import JobRunner
from model_rollback.engine.slots import Slots
from model_rollback.engine.steps import Seen, StepRunner
from model_rollback.engine.store import Key, PolicyEntry, RollbackEntry, Store, SystemEntry
from model_rollback.engine.targets import ref_of
from model_rollback.errors import NotFound
from model_rollback.ports import Clock, HttpProbes, MetricsSource, Object, ObjectRef, Objects, PodLogs


@dataclass(frozen=True, slots=True)
class World:
    """What a run needs of the engine."""

    store: Store
    objects: Objects
    clock: Clock
    sources_for: Callable[[str], Mapping[str, MetricsSource]]
    http: HttpProbes
    logs: PodLogs
    announcer: Announcer
    look_at_targets: Callable[[Key], Awaitable[None]]
    introduce_policy: Callable[[Object], None]
    introduce_system: Callable[[Object], SystemEntry]
    reconsider: Callable[[ObjectRef], None]
    acting_as: Callable[[str, str], Objects]
    track: Callable[[Key], None]
    epoch: Callable[[], int]
    slots: Slots


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing to do before `until`, or before something changes.

    `alone`: an overloaded API server asked to be left alone until then, whatever changes meanwhile.
    """

    until: datetime | None = None
    alone: datetime | None = None


class Context:
    """One Rollback under way."""

    def __init__(self, world: World, system: SystemEntry, rollback: RollbackEntry) -> None:
        self.world = world
        self.system = system
        self.rollback = rollback
        self._values: dict[str, Values] = {}
        self._seen = Seen()
        self._draft: machine.Change | None = None
        self._drafted: tuple[RollbackStatus, RollbackStatus] | None = None
        self._when_written: Callable[[], None] | None = None
        self._epoch = world.epoch()

    @property
    def status(self) -> RollbackStatus:
        """As last written, with what is drafted on top."""
        written = self.rollback.status
        if self._draft is None:
            return written
        if self._drafted is None or self._drafted[0] is not written:
            self._drafted = (written, self._draft(written))
        return self._drafted[1]

    def draft(self, change: machine.Change, when_written: Callable[[], None]) -> None:
        """`change` is made together with the next write, in one; until then this process alone knows of it.

        `when_written` is called when that write is answered. `change` must leave a status as it is that has it already:
        a watch may tell of the write before its answer does.
        """
        self._draft, self._drafted, self._when_written = change, None, when_written

    def _forget_draft(self) -> None:
        self._draft = self._drafted = self._when_written = None

    @property
    def procedure(self) -> Procedure:
        """As resolved by the plan; there is one in every phase after Requested."""
        if self.status.procedure is None:
            raise RuntimeError(f"{self.rollback.ref} has no procedure while {phase_of(self.status)}")
        return self.status.procedure

    @property
    def from_version(self) -> str:
        """What runs before it: as planned, else as asked for."""
        return self.status.from_version or self.rollback.from_version

    @property
    def from_digest(self) -> str:
        """The identity of `from_version`."""
        return self.status.from_digest or self.rollback.from_digest

    @property
    def policy(self) -> PolicyEntry | None:
        """As far as it has been seen; see `find_policy`."""
        return self.world.store.policy_of(self.rollback)

    async def find_policy(self) -> PolicyEntry | None:
        """The policy, asked for when its watch event has not come yet, as after a restart. None: it is deleted.

        Raises:
            ClusterError: the API server could not be asked.
        """
        if self.policy is None:
            ref = ObjectRef(
                API_VERSION, "RollbackPolicy", self.rollback.ref.namespace, self.rollback.spec.policy_ref.name
            )
            with contextlib.suppress(NotFound):
                self.world.introduce_policy(await self.world.objects.get(ref))
        return self.policy

    @property
    def artifacts(self) -> tuple[PlannedArtifact, ...]:
        """Those of the version that is put back now, as planned."""
        return self._tried.artifacts if self._tried is not None else ()

    @property
    def writer(self) -> Objects:
        """Who writes to the targets: the account that the procedure names, or the operator itself."""
        procedure, spec = self.status.procedure, self.system.spec
        if procedure is not None:
            account = procedure.service_account_name
        else:
            account = (spec.service_account_name or "") if spec is not None else ""
        if not account:
            return self.world.objects
        return self.world.acting_as(self.system.ref.namespace, account)

    @property
    def step_runner(self) -> StepRunner:
        """Runs the steps that patch a target."""
        world, namespace = self.world, self.system.ref.namespace
        return StepRunner(
            world.objects,
            self.writer,
            world.clock,
            namespace,
            self.rollback.ref.name,
            self._epoch,
            self._seen,
        )

    def look_anew(self) -> None:
        """Time has passed: what was seen of the targets, and what was drafted from it, is not gone by any more."""
        self.forget_seen()
        self._forget_draft()

    def forget_seen(self) -> None:
        """What was seen of the targets was seen for another plan, or too long ago."""
        self._seen.clear()

    @property
    def job_runner(self) -> JobRunner:
        """Runs the steps that are Jobs."""
        world, rollback = self.world, self.rollback
        return JobRunner(
            world.objects,
            self.writer,
            world.clock,
            rollback.ref.namespace,
            rollback.ref.name,
            rollback.uid,
        )

    def job_of(self, step: Step) -> JobProbe:
        """What a Job step runs, as the procedure writes it."""
        name = step.name.removesuffix(f"-{step.attempt}") if step.attempt > 1 else step.name
        job = next((s.job for s in self.procedure.steps if s.name == name), None)
        if job is None:
            raise RuntimeError(f"{self.rollback.ref}: the procedure has no job for step {step.name}")
        return job

    @property
    def served(self) -> str:
        """What the version that is put back calls itself when a probe asks."""
        now = self._tried
        return now.served if now is not None and now.served else self.status.to_version

    @property
    def target_seen(self) -> datetime | None:
        """When the version that is put back was last live before."""
        return self._tried.last_seen if self._tried is not None else None

    @property
    def _tried(self) -> PlannedTarget | None:
        return next((t for t in self.status.targets if t.version == self.status.to_version), None)

    def now(self) -> datetime:
        """The clock's time."""
        return self.world.clock.now()

    def steps(self, action: str) -> list[Step]:
        """The steps of one action to the target that is tried now, in order."""
        return [s for s in machine.current_steps(self.status) if s.action == action]

    @property
    def reverted(self) -> list[str]:
        """The components that the plan to this target reverts, in order."""
        return [s.component for s in self.steps("Revert")]

    def component(self, name: str) -> Component | None:
        """The component as the ModelDeployment describes it now; None once it is removed."""
        components: Sequence[Component] = self.system.spec.components if self.system.spec else []
        return next((c for c in components if c.name == name), None)

    def remember(self, kept: Mapping[str, Values]) -> None:
        """Revision → what was just kept under that name."""
        self._values.update(kept)

    async def values(self, revision: str) -> Mapping[str, PinValues]:
        """The full values of a kept version, as the plan knew them.

        Raises:
            NotFound: somebody deleted it, or put something else in its place.
        """
        if revision not in self._values:
            found = await revisions.load(self.world.objects, self.system.ref.namespace, revision)
            if identity_of(found) not in self._digests_of(revision):
                raise NotFound(f"what is kept as {revision} is not what was planned; it was not made by us")
            self._values[revision] = found
        return self._values[revision]

    def _digests_of(self, revision: str) -> set[str]:
        """The identity of what a plan's revision keeps."""
        status = self.status
        kept = [(status.from_revision, status.from_digest), *((t.revision, t.digest) for t in status.targets)]
        return {digest for name, digest in kept if name == revision}

    async def write(self, change: machine.Change) -> None:
        """Writes the Rollback's status, and with it what is drafted; raises ClusterError."""
        draft = self._draft
        whole = change if draft is None else lambda status: change(draft(status))
        await write_status(self.world.objects, self.rollback, self.rollback.observed(whole))
        when_written = self._when_written
        self._forget_draft()
        if when_written is not None:
            when_written()

    async def supersede(self, message: str) -> None:
        """Ends: somebody deployed another version."""
        await self.write(lambda s: machine.superseded(s, message, at=self.now()))

    async def halt(self, step: str, reason: Reason, message: str) -> None:
        """Stops and waits for a person; `step` empty: in preflight."""
        await self.write(lambda s: machine.halt(s, step, reason, message, at=self.now()))
        words = f"halted at {step or 'preflight'}: {message}"
        self.tell(Reason.ROLLBACK_HALTED, words, components=self.reverted)

    async def fail(self, step: Step, reason: Reason, message: str) -> None:
        """A step cannot go on: `execution.onFailure` says what that leads to."""
        if self.procedure.on_failure == "Restore" and step.action != "Restore":
            await self.write(lambda s: machine.begin_restore(s, "Failed", message, at=self.now()))
        else:
            await self.halt(step.name, reason, message)

    async def quarantine(self, version: str, digest: str) -> str:
        """Takes a bad version out of the candidates; what is to be told of it, empty when it was out already."""
        until = self.now() + self.procedure.quarantine
        name = self.rollback.ref.name
        if await lock.quarantine(self.world.objects, self.system, name, version, digest, until=until):
            return f"{version} will not be rolled back to until {until:%Y-%m-%d %H:%M} UTC"
        return ""

    def tell(self, reason: Reason, message: str, *, components: Sequence[str] = ()) -> None:
        """Announces a transition on the Rollback, its system, its policy, and the targets of `components`."""
        self.world.announcer.tell(reason, message, self.concerned(components))

    def concerned(self, components: Sequence[str]) -> list[dict[str, Any]]:
        """The Rollback, its system, its policy, and the targets of `components`, as Events name them."""
        regarding = [self.rollback.regarding, self.system.regarding]
        if self.policy is not None:
            regarding.append(self.policy.regarding)
        return regarding + [target for name in components if (target := self._target(name)) is not None]

    def _target(self, name: str) -> dict[str, Any] | None:
        component = self.component(name)
        if component is None:
            return None
        live = self.system.live.get(name)
        return named(ref_of(self.system.ref.namespace, component), live.uid if live is not None else "")
