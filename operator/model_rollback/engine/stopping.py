"""Ends what a Rollback has started and nobody waits for any more: its Jobs."""

from collections.abc import Mapping

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.engine.context import Context


async def stop_jobs(c: Context, why: str) -> Mapping[str, str]:
    """Suspends what still runs of the steps that are Jobs and not done; step → what became of its Job.

    Raises:
        Unavailable: try again; doing it twice does no harm.
    """
    told = {}
    for step in c.status.steps:
        base = _named_after(c, step)
        if base and step.state in ("Running", "Failed"):
            said = await c.job_runner.stop(step, base, why)
            if said:
                told[step.name] = f"{why}: {said}"
    for name, said in told.items():
        c.tell(Reason.JOB_SUSPENDED, f"{name}: {said}", components=c.reverted)
    return told


def _named_after(c: Context, step: Step) -> str:
    """What the Job of a step is named after; empty for a step without one, or when its component was removed."""
    if step.action == "Job":
        return step.name
    component = c.component(step.component) if step.action == "Reprocess" else None
    return component.target_ref.name if component is not None else ""
