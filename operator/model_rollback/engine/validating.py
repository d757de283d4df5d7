"""The phase that proves it: settle, then every probe must pass for the whole duration."""

from datetime import datetime

from model_rollback.api.reasons import Reason
from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.core import machine
from model_rollback.engine.context import Context, Pause
from model_rollback.engine.giving_up import give_up
from model_rollback.engine.probes import Surroundings
from model_rollback.engine.targets import ref_of
from model_rollback.engine.validation import MISSES, Validator
from model_rollback.errors import ClusterError
from model_rollback.ports import ObjectRef

_HOLE = 3


class Validating:
    """Rounds of probes. What it remembers dies with the process, and then the time that counts begins anew."""

    def __init__(self, context: Context) -> None:
        self._c = context
        self._validator: Validator | None = None
        self._next_round: datetime | None = None
        self._last_round: datetime | None = None
        self._held_back = 0

    def reset(self) -> None:
        """Begins anew, as after Resume."""
        self._validator, self._last_round, self._held_back = None, None, 0

    async def validate(self) -> Pause | None:
        """One move: begin, settle, or a round of probes."""
        c = self._c
        step = c.steps("Validate")[0]
        if step.state == "Pending":
            began = {"state": "Running", "started_at": c.now()}
            await c.write(lambda s: machine.change_step(s, step.name, at=c.now(), **began))
            self.reset()
            return None
        validator = self._validator or await self._begin(step)
        if self._next_round is not None and c.now() < self._next_round:
            newer = self._newer_deploy()
            if newer:
                await c.supersede(newer)
                return None
            return Pause(self._next_round)
        return await self._round(step, validator)

    async def _begin(self, step: Step) -> Validator:
        c = self._c
        began = step.started_at or c.now()
        self._validator = Validator(
            Surroundings(
                rollback=c.rollback.ref,
                uid=c.rollback.uid,
                version=c.served,
                procedure=c.procedure,
                began=began,
                target_seen=c.target_seen,
                target=self._target,
                sources=c.world.sources_for(c.system.ref.namespace),
                http=c.world.http,
                logs=c.world.logs,
                objects=c.world.objects,
                writer=c.writer,
            )
        )
        self._next_round = began + c.procedure.settle
        if c.status.passing_since is not None:
            # Nobody looked while this process was away.
            await c.write(lambda s: machine.probed(s, passing_since=None))
        return self._validator

    def _target(self, name: str) -> ObjectRef | None:
        component = self._c.component(name)
        return ref_of(self._c.system.ref.namespace, component) if component is not None else None

    def _newer_deploy(self) -> str:
        """A component that holds neither what was put back nor what was judged bad is somebody's newer deploy."""
        for step in self._c.steps("Revert"):
            live = self._c.system.live.get(step.component)
            known = ({r.pin: r.value for r in step.after}, {r.pin: r.value for r in step.before})
            if live is not None and live.pins is not None and dict(live.pins) not in known:
                return f"{step.component} was deployed anew during validation"
        return ""

    async def _round(self, step: Step, validator: Validator) -> Pause | None:
        c = self._c
        now = c.now()
        obstacle = await self._look()
        newer = self._newer_deploy()
        if newer:
            await c.supersede(newer)
            return None
        answers = await validator.ask_all(c.system.targets, c.status.steps, c.status.validation, now=now)
        passed = not obstacle and all(a.state == "Passed" for a in answers)
        since = self._passing_since(now) if passed else None
        self._next_round, self._last_round = now + c.procedure.interval, now
        enough = since is not None and now - since >= c.procedure.duration
        failed = any(a.state == "Failed" for a in answers)
        # The record keeps what was said at the end; in between only news are written.
        said = validator.latest if enough or failed else answers
        await c.write(lambda s: machine.probed(s, validation=said, passing_since=since))
        broken = "; ".join(f"{a.probe}: {a.message}" for a in answers if a.state == "Failed")
        if broken:
            c.tell(Reason.VALIDATION_FAILED, broken)
            await give_up(c, step, broken)
            return None
        if self._held_back >= MISSES:
            await c.halt(step.name, Reason.TARGET_CHANGED, obstacle)
            return None
        if enough:
            await c.write(lambda s: machine.validated(s, at=now))
            c.tell(
                Reason.VALIDATION_PASSED,
                f"{', '.join(a.probe for a in answers)} passed for {format_duration(c.procedure.duration)}",
            )
            return None
        if not passed and now > self._limit(step):
            unknown = [f"{a.probe}: {a.message}" for a in answers if a.state == "Unknown"]
            words = "; ".join([*unknown, *([obstacle] if obstacle else [])])
            await c.halt(step.name, Reason.VALIDATION_UNKNOWN, f"could not be validated: {words}")
            return None
        return Pause(self._next_round)

    async def _look(self) -> str:
        """Looks at the targets themselves; why this round cannot pass whatever the probes say, or empty."""
        c = self._c
        try:
            await c.world.look_at_targets(c.system.key)
        except ClusterError as error:
            return f"the targets cannot be looked at: {error}"
        for step in c.steps("Revert"):
            live = c.system.live.get(step.component)
            if live is None or live.pins is None:
                return f"{step.component} is not there"
            if dict(live.pins) == {r.pin: r.value for r in step.before}:
                self._held_back += 1
                return f"somebody put {c.status.from_version} back into {step.component}"
        self._held_back = 0
        return ""

    def _passing_since(self, now: datetime) -> datetime:
        """Since when every round passed; a hole between two rounds begins anew."""
        since = self._c.status.passing_since
        if since is None or self._last_round is None:
            return now
        return since if now - self._last_round <= _HOLE * self._c.procedure.interval else now

    def _limit(self, step: Step) -> datetime:
        """Probes that cannot be asked extend the validation up to here."""
        p = self._c.procedure
        limit: datetime = (step.started_at or self._c.now()) + p.settle + p.duration + p.step_timeout
        return limit
