"""The phase that proves it: settle, then every probe must pass for the whole duration."""

from datetime import datetime

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback import Step
from model_rollback.core import machine
from model_rollback.engine.context import Context, Pause
from model_rollback.engine.validation import Validator


class Validating:
    """Rounds of probes. What it remembers dies with the process, and then the time that counts begins anew."""

    def __init__(self, context: Context) -> None:
        self._c = context
        self._validator: Validator | None = None
        self._next_round: datetime | None = None

    def reset(self) -> None:
        """Begins anew, as after Resume."""
        self._validator = None

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
        newer = self._newer_deploy()
        if newer:
            await c.supersede(newer)
            return None
        if self._next_round is not None and c.now() < self._next_round:
            return Pause(self._next_round)
        return await self._round(step, validator)

    async def _begin(self, step: Step) -> Validator:
        c = self._c
        self._validator = Validator(
            c.system.ref.namespace, c.status.to_version, c.procedure, c.world.sources, c.world.http
        )
        self._next_round = (step.started_at or c.now()) + c.procedure.settle
        if c.status.passing_since is not None:
            # Nobody looked while this process was away.
            await c.write(lambda s: machine.probed(s, passing_since=None))
        return self._validator

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
        answers = await validator.ask_all(c.system.targets, c.status.steps, c.status.validation, now=now)
        self._next_round = now + c.procedure.interval
        passed = all(a.state == "Passed" for a in answers)
        since = (c.status.passing_since or now) if passed else None
        await c.write(lambda s: machine.probed(s, validation=answers, passing_since=since))
        broken = "; ".join(f"{a.probe}: {a.message}" for a in answers if a.state == "Failed")
        if broken:
            c.tell(Reason.VALIDATION_FAILED, broken)
            await c.halt(step.name, Reason.VALIDATION_FAILED, broken)
            return None
        if since is not None and now - since >= c.procedure.duration:
            await c.write(lambda s: machine.validated(s, at=now))
            c.tell(Reason.VALIDATION_PASSED, f"{len(answers)} probes passed since {since:%H:%M:%S} UTC")
            return None
        if not passed and now > self._limit(step):
            unknown = "; ".join(f"{a.probe}: {a.message}" for a in answers if a.state == "Unknown")
            await c.halt(step.name, Reason.VALIDATION_UNKNOWN, f"could not be validated: {unknown}")
            return None
        return Pause(self._next_round)

    def _limit(self, step: Step) -> datetime:
        """Probes that cannot be asked extend the validation up to here."""
        p = self._c.procedure
        limit: datetime = (step.started_at or self._c.now()) + p.settle + p.duration + p.step_timeout
        return limit
