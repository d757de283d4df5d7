"""Steps that run a Job and wait for it: exactly one for each step, whatever crashes and whichever answer is lost."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.probe import JobProbe
from model_rollback.api.v1alpha1.rollback_record import Procedure, Step
from model_rollback.core.jobs import (
    from_cron_job,
    from_template,
    is_ours,
    is_suspended,
    job_name,
    state_of,
    suspension,
    why_suspended,
)
from model_rollback.engine.steps import Outcome, Progress, failed, failure, or_timed_out
from model_rollback.errors import ClusterError, Conflict, NotFound, Unavailable
from model_rollback.ports import Clock, Object, ObjectRef, Objects

_POLL = timedelta(seconds=2)


Body = Callable[[str], Awaitable[Object]]
"""The Job of a name; asked for only when there is none yet."""


class JobRunner:
    """Runs the steps of one Rollback that are Jobs."""

    def __init__(
        self, reader: Objects, writer: Objects, clock: Clock, namespace: str, rollback: str, uid: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._namespace = namespace
        self._rollback = rollback
        self._uid = uid

    async def try_reprocess(self, step: Step, cron_job: Object) -> None:
        """Asks the API server whether it would take the Job that the reverted CronJob makes; raises ClusterError."""
        ref = self._ref(step, cron_job["metadata"]["name"])
        await self._writer.create(ref, from_cron_job(cron_job, ref.name, self._rollback), dry_run=True)

    async def try_job(self, step: Step, job: JobProbe, version: str) -> None:
        """Asks the API server whether it would take the Job of a written step; raises ClusterError."""
        ref = self._ref(step, step.name)
        await self._writer.create(ref, self._body(job, ref.name, version), dry_run=True)

    async def reprocess(self, step: Step, cron_job: ObjectRef, procedure: Procedure) -> Progress:
        """Takes a Reprocess one move further: begin, create, wait."""

        async def body(name: str) -> Object:
            return from_cron_job(await self._reader.get(cron_job), name, self._rollback)

        return await self._advance(step, self._ref(step, cron_job.name), body, procedure)

    async def job(self, step: Step, job: JobProbe, version: str, procedure: Procedure) -> Progress:
        """Takes a written Job one move further. `version`: what it is told to be put back."""

        async def body(name: str) -> Object:
            return self._body(job, name, version)

        return await self._advance(step, self._ref(step, step.name), body, procedure)

    async def stop(self, step: Step, base: str, why: str) -> str:
        """Suspends the Job of a step that nobody waits for any more; what became of it, empty when nothing of it runs.

        Its pods end and the Job stays, with the reason on it: what is half built is not built on unasked, and nobody
        has lost what a person may still want to look at or let go on.

        Args:
            base: what the Job is named after, as when it was made.

        Raises:
            Unavailable: try again; doing it twice does no harm.
        """
        return await self._stop(self._ref(step, base), why)

    async def _stop(self, ref: ObjectRef, why: str) -> str:
        try:
            job = await self._reader.get(ref)
            state = state_of(job)
            if not is_ours(job, self._rollback) or state.complete or state.failed:
                return ""
            if not is_suspended(job):
                await self._writer.patch_json(ref, suspension(job, why))
            elif why_suspended(job) != why:
                return ""  # by somebody else, or earlier: that is told already
        except NotFound:
            return ""
        except Unavailable:
            raise
        except ClusterError as error:
            return f"Job {ref.name} runs on: it cannot be suspended: {error}"
        return f"Job {ref.name} is suspended"

    def _body(self, job: JobProbe, name: str, version: str) -> Object:
        return from_template(
            job.template, name, self._rollback, self._uid, limit=job.timeout, version=version
        )

    async def _advance(self, step: Step, ref: ObjectRef, body: Body, procedure: Procedure) -> Progress:
        if step.state == "Pending":
            began = {"state": "Running", "started_at": self._clock.now(), "message": ""}
            return Progress(Outcome.CHANGED, began)
        try:
            progress = await self._move(step, ref, body)
            late = or_timed_out(step, procedure, progress, self._clock.now())
            if late.reason is Reason.STEP_TIMED_OUT:
                late = failed(late.reason, f"{late.message}. {await self._stop(ref, late.message)}")
        except ClusterError as error:
            return or_timed_out(step, procedure, failure(error), self._clock.now())
        return late

    async def _move(self, step: Step, ref: ObjectRef, body: Body) -> Progress:
        try:
            job = await self._reader.get(ref)
        except NotFound:
            if step.written_at is not None:
                said = f"Job {ref.name} vanished before anybody saw how it ended"
                return failed(Reason.JOB_FAILED, said)
            return await self._create(ref, body)
        if not is_ours(job, self._rollback):
            return failed(Reason.CONFLICT, f"Job {ref.name} is there, but this Rollback did not make it")
        if step.written_at is None:
            return self._created(ref)
        state = state_of(job)
        if state.failed:
            return failed(Reason.JOB_FAILED, state.message)
        if state.complete:
            ended: dict[str, Any] = {
                "state": "Succeeded",
                "finished_at": self._clock.now(),
                "message": state.message,
            }
            return Progress(Outcome.CHANGED, ended)
        return Progress(Outcome.WAIT, message=state.message, look_again=_POLL)

    async def _create(self, ref: ObjectRef, body: Body) -> Progress:
        made = await body(ref.name)
        try:
            await self._writer.create(ref, made)
        except Conflict:
            return Progress(Outcome.WAIT, message=f"Job {ref.name} is there already", look_again=_POLL)
        return self._created(ref)

    def _created(self, ref: ObjectRef) -> Progress:
        return Progress(Outcome.CHANGED, {"written_at": self._clock.now(), "message": f"Job {ref.name} runs"})

    def _ref(self, step: Step, base: str) -> ObjectRef:
        name = job_name(base, self._uid, step.name, step.repeats)
        return ObjectRef("batch/v1", "Job", self._namespace, name)
