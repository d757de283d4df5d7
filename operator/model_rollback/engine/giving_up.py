"""What a failed validation leads to: the next target of the plan, or people."""

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.core import machine
from model_rollback.engine.context import Context
from model_rollback.engine.next_target import Next, next_target


async def give_up(c: Context, step: Step, broken: str) -> None:
    """Moves on as `validation.onFailure` says. A target is quarantined before the next one is written; the last one is
    not, because a person may still show by Resume that it is good.

    Args:
        step: the Validate step that failed.
        broken: the probes that failed, in words.
    """
    mode = c.procedure.on_validation_failure
    if mode == "NextTarget":
        following = await next_target(
            c.world.objects, c.step_runner, c.system, c.rollback, broken, now=c.now()
        )
        if following.superseded:
            await c.supersede(following.superseded)
            return
        if following.steps:
            await _go_on(c, following, broken)
            return
        broken = f"{broken}; {following.why}"
    elif mode == "Escalate":
        c.tell(Reason.ESCALATED, f"{c.status.to_version} did not pass: {broken}", components=c.reverted)
    await c.halt(step.name, Reason.VALIDATION_FAILED, broken)


async def _go_on(c: Context, following: Next, broken: str) -> None:
    failed = c.status.to_version
    await c.write(lambda s: machine.next_target(s, following.fields, following.steps, broken, at=c.now()))
    c.tell(
        Reason.NEXT_TARGET,
        f"{failed} did not pass: {broken}; {c.status.to_version} is put back instead",
        components=c.reverted,
    )
