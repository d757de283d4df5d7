"""The phases that write to targets: Reverting and Restoring, one step after the other."""

from datetime import timedelta

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback import Step
from model_rollback.core import machine
from model_rollback.engine import lock
from model_rollback.engine.context import Context, Pause
from model_rollback.engine.steps import Outcome, Progress, StepRunner
from model_rollback.errors import NotFound

_RETRY = timedelta(seconds=2)
_DONE = ("Succeeded", "Skipped")


class Reverting:
    """Takes the next unfinished step one move further at each call."""

    def __init__(self, context: Context, steps: StepRunner) -> None:
        self._c = context
        self._steps = steps

    async def revert(self) -> Pause | None:
        """The next Revert; the bad version is taken out of the candidates first."""
        await self._quarantine()
        status = self._c.status
        step = next(s for s in self._c.steps("Revert") if s.state not in _DONE)
        return await self._advance(step, status.from_revision, status.to_revision)

    async def restore(self) -> Pause | None:
        """The next Restore; what is put back is no longer kept out."""
        c = self._c
        if await lock.release_quarantine(c.world.objects, c.system, c.rollback.ref.name):
            version = c.rollback.spec.from_version
            c.tell(Reason.QUARANTINE_RELEASED, f"{version} is put back and may be rolled back to again")
        step = next((s for s in c.steps("Restore") if s.state not in _DONE), None)
        if step is None:
            await c.write(lambda s: machine.restored(s, at=c.now()))
            return None
        return await self._advance(step, c.status.to_revision, c.status.from_revision)

    async def _advance(self, step: Step, expected_in: str, wanted_in: str) -> Pause | None:
        c = self._c
        component = c.component(step.component)
        if component is None:
            await c.fail(step, Reason.TARGETS_MISSING, f"component {step.component} was removed")
            return None
        try:
            expected = (await c.values(expected_in))[step.component]
            wanted = (await c.values(wanted_in))[step.component]
        except NotFound as error:
            await c.fail(step, Reason.TARGETS_MISSING, f"the kept values are gone: {error}")
            return None
        return await self._record(
            step, await self._steps.advance(step, component, expected, wanted, c.procedure)
        )

    async def _record(self, step: Step, progress: Progress) -> Pause | None:
        c = self._c
        if progress.outcome is Outcome.WAIT:
            return self._wait(step, progress)
        if progress.outcome is Outcome.SUPERSEDED:
            await c.supersede(progress.message)
            return None
        if progress.outcome is Outcome.FAILED:
            await c.fail(step, progress.reason, progress.message)
            return None
        changes = progress.changes or {}
        await c.write(lambda s: machine.change_step(s, step.name, at=c.now(), **changes))
        if changes.get("state") == "Succeeded":
            word = (
                "is put back as before"
                if step.action == "Restore"
                else f"is back at {c.status.to_version} and ready"
            )
            c.tell(Reason.COMPONENT_REVERTED, f"{step.component} {word}", components=[step.component])
        return None

    def _wait(self, step: Step, progress: Progress) -> Pause:
        """Until the target changes or the step times out; sooner when the API server is to be asked again."""
        deadline = step.started_at + self._c.procedure.step_timeout if step.started_at else None
        retry = self._c.now() + _RETRY if progress.reason is not Reason.RUNNING else None
        return Pause(min((x for x in (deadline, retry) if x is not None), default=None))

    async def _quarantine(self) -> None:
        c = self._c
        until = c.now() + c.procedure.quarantine
        if await lock.quarantine(c.world.objects, c.system, c.rollback, until=until):
            version = c.rollback.spec.from_version
            c.tell(
                Reason.VERSION_QUARANTINED,
                f"{version} will not be rolled back to until {until:%Y-%m-%d %H:%M} UTC",
            )
