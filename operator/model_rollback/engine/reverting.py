"""The phases that write to targets, Reverting and Restoring: every step whose turn has come, side by side."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.artifacts import PlannedArtifact
from model_rollback.api.v1alpha1.rollback_record import RollbackStatus, Step
from model_rollback.core import machine
from model_rollback.core.pins import PinValues
from model_rollback.engine import lock
from model_rollback.engine.context import Context, Pause
from model_rollback.engine.steps import Outcome, Progress, failed
from model_rollback.engine.targets import ref_of
from model_rollback.errors import NotFound

_RETRY = timedelta(seconds=2)
_RETRY_MAX = timedelta(seconds=30)


class Reverting:
    """Takes the unfinished steps one move further at each call.

    Once a step has failed no other begins. Those that run are let finish first, and then `execution.onFailure` says
    what happens: so nothing is half done that need not be.
    """

    def __init__(self, context: Context) -> None:
        self._c = context

    async def begin(self, unknown: Sequence[str], artifacts: tuple[PlannedArtifact, ...] = ()) -> None:
        """Every dry run has passed: says so, and that the first steps run, in one write.

        The bad version is taken out of the candidates beside it: both come before anything is written to a target.

        Args:
            unknown: objects that the pods need and that nobody could be asked about.
            artifacts: those of the version that is put back, as the preflight found them.
        """
        c = self._c
        first, tried = await self._first_moves(), c.status.plan_hash

        def change(status: RollbackStatus) -> RollbackStatus:
            if status.plan_hash != tried:
                raise machine.IllegalTransition("another plan was written meanwhile, which nobody has tried")
            status = machine.preflight_passed(status, at=c.now(), unknown=unknown, artifacts=artifacts)
            for name, changes in first.items():
                status = machine.change_step(status, name, at=c.now(), **changes)
            return status

        # A cancelled write has an unknown outcome: both are let come to their answer.
        written, kept_out = await asyncio.gather(c.write(change), self._keep_out(), return_exceptions=True)
        if not isinstance(kept_out, BaseException):
            self._tell_kept_out(kept_out)
        for answer in (written, kept_out):
            if isinstance(answer, BaseException):
                raise answer

    async def _first_moves(self) -> dict[str, dict[str, Any]]:
        """Step → how it begins, for those of which that can be told without another look."""
        c = self._c
        moves = {}
        for step in machine.startable(machine.work_steps(c.status)):
            component = c.component(step.component)
            if step.action != "Revert" or step.state != "Pending" or component is None:
                continue
            try:
                expected, wanted = await self._values(step)
            except NotFound:
                continue  # `_advance` says so
            made = c.step_runner.begin(step, component, expected, wanted)
            if made is not None and made.changes is not None:
                moves[step.name] = made.changes
        return moves

    async def revert(self) -> Pause | None:
        """The next Reverts; the bad version, and targets that failed, are taken out of the candidates first."""
        self._tell_kept_out(await self._keep_out())
        return await self._advance_all()

    async def _keep_out(self) -> list[str]:
        """What is to be told of those that were not out already."""
        c = self._c
        bad = [(c.from_version, c.from_digest)]
        bad += [(target.version, target.digest) for target in machine.tried(c.status)[:-1]]
        return [await c.quarantine(version, digest) for version, digest in bad]

    def _tell_kept_out(self, words: Sequence[str]) -> None:
        for said in words:
            if said:
                self._c.tell(Reason.VERSION_QUARANTINED, said)

    async def restore(self) -> Pause | None:
        """The next Restores; what is put back is no longer kept out."""
        c = self._c
        if await lock.release_quarantine(c.world.objects, c.system, c.rollback):
            version = c.rollback.from_version
            c.tell(Reason.QUARANTINE_RELEASED, f"{version} is put back and may be rolled back to again")
        if all(s.state in ("Succeeded", "Skipped") for s in machine.work_steps(c.status)):
            await c.write(lambda s: machine.restored(s, at=c.now()))
            return None
        return await self._advance_all()

    async def _advance_all(self) -> Pause | None:
        c = self._c
        steps = machine.startable(machine.work_steps(c.status))
        if not steps:
            broken = next(s for s in machine.work_steps(c.status) if s.state == "Failed")
            await c.fail(broken, Reason(broken.reason or Reason.CONFLICT), broken.message)
            return None
        # A cancelled write has an unknown outcome: every step is let come to its answer, whatever another one raised.
        answers = await asyncio.gather(*(self._advance(step) for step in steps), return_exceptions=True)
        c.look_anew()
        progress = [(s, a) for s, a in zip(steps, answers, strict=True) if isinstance(a, Progress)]
        pause = await self._record_all(sorted(progress, key=_turn))
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return pause

    async def _record_all(self, progress: Sequence[tuple[Step, Progress]]) -> Pause | None:
        pauses = []
        phase = machine.phase_of(self._c.status)
        for step, made in progress:
            begins = step.state == "Pending" and made.outcome is Outcome.CHANGED
            broken = any(s.state == "Failed" for s in machine.work_steps(self._c.status))
            if machine.phase_of(self._c.status) is not phase or (begins and broken):
                return None
            pauses.append(await self._record(step, made))
        if None in pauses:
            return None
        waits = [p for p in pauses if p is not None]
        return Pause(
            min((p.until for p in waits if p.until is not None), default=None),
            max((p.alone for p in waits if p.alone is not None), default=None),
        )

    async def _advance(self, step: Step) -> Progress:
        c = self._c
        if step.action == "Notify":
            told = {"state": "Succeeded", "started_at": c.now(), "finished_at": c.now()}
            return Progress(Outcome.CHANGED, told)
        if step.action == "Job":
            return await c.job_runner.job(step, c.job_of(step), c.served, c.procedure)
        component = c.component(step.component)
        if component is None:
            return failed(Reason.TARGETS_MISSING, f"component {step.component} was removed")
        if step.action == "Reprocess":
            return await c.job_runner.reprocess(step, ref_of(c.system.ref.namespace, component), c.procedure)
        try:
            expected, wanted = await self._values(step)
        except NotFound as error:
            return failed(Reason.TARGETS_MISSING, f"the kept values are gone: {error}")
        return await c.step_runner.advance(step, component, expected, wanted, c.procedure)

    async def _values(self, step: Step) -> tuple[Sequence[PinValues], PinValues]:
        """What may stand there before the step, and what it puts there."""
        c = self._c
        earlier = [t.revision for t in machine.tried(c.status)]
        first = c.status.from_revision
        if step.action == "Restore":
            # A step that never came to its write leaves what the target before it had put there.
            kept = [await c.values(revision) for revision in reversed(earlier)]
            return [values[step.component] for values in kept], (await c.values(first))[step.component]
        before = await c.values(earlier[step.attempt - 2] if step.attempt > 1 else first)
        return [before[step.component]], (await c.values(c.status.to_revision))[step.component]

    async def _record(self, step: Step, progress: Progress) -> Pause | None:
        c = self._c
        if progress.outcome is Outcome.WAIT:
            return pause_of(step, progress, self._c.procedure.step_timeout, now=self._c.now())
        if progress.outcome is Outcome.SUPERSEDED:
            await c.supersede(progress.message)
            return None
        if progress.outcome is Outcome.FAILED:
            await self._fail(step, progress)
            return None
        changes = progress.changes or {}
        await c.write(lambda s: machine.change_step(s, step.name, at=c.now(), **changes))
        if step.action == "Reprocess":
            if "written_at" in changes:
                words = f"{step.component}: {changes['message']}"
                c.tell(Reason.REPROCESSING_STARTED, words, components=[step.component])
        elif step.action == "Notify":
            c.tell(Reason.STEP_NOTIFIES, f"{step.name}: {machine.half(c.status)}", components=c.reverted)
        elif changes.get("state") == "Succeeded" and step.action != "Job":
            word = (
                "is put back as before"
                if step.action == "Restore"
                else f"is back at {c.status.to_version} and ready"
            )
            c.tell(Reason.COMPONENT_REVERTED, f"{step.component} {word}", components=[step.component])
        return None

    async def _fail(self, step: Step, progress: Progress) -> None:
        """At once when it runs alone; else it is noted, and the others are let finish."""
        c = self._c
        others = [s for s in machine.work_steps(c.status) if s.state == "Running" and s.name != step.name]
        if not others:
            broken = [s for s in machine.work_steps(c.status) if s.state == "Failed" and s.name != step.name]
            all_words = [f"{s.name}: {s.message}" for s in broken] + [progress.message]
            await c.fail(step, progress.reason, "; ".join(all_words))
            return
        said = {"state": "Failed", "reason": progress.reason, "message": progress.message[:1024]}
        await c.write(lambda s: machine.change_step(s, step.name, at=c.now(), **said))
        running = ", ".join(s.name for s in others)
        words = f"{step.name}: {progress.message}. Let finish first: {running}"
        c.tell(Reason.STEP_FAILED, words, components=[step.component])


def pause_of(step: Step, progress: Progress, step_timeout: timedelta, *, now: datetime) -> Pause:
    """Until the target changes or the step times out; sooner when the API server is to be asked again.

    An API server that says for how long it wants to be left alone is not asked sooner, whatever changes.
    """
    deadline = step.started_at + (step.timeout or step_timeout) if step.started_at else None
    again = progress.look_again or (_RETRY if progress.reason is not Reason.RUNNING else None)
    retry = now + min(again, _RETRY_MAX) if again is not None else None
    asked = progress.reason is Reason.API_UNAVAILABLE and progress.look_again is not None
    until = min((x for x in (deadline, retry) if x is not None), default=None)
    return Pause(until, retry if asked else None)


def _turn(made: tuple[Step, Progress]) -> int:
    """What was written is recorded first, then what failed, then what begins; what ends the Rollback comes last."""
    step, progress = made
    if progress.outcome is Outcome.SUPERSEDED:
        return 3
    if progress.outcome is Outcome.FAILED:
        return 1
    return 2 if step.state == "Pending" else 0
