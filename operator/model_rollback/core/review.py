"""The review of a finished Rollback: when it is complete."""

from datetime import datetime

from model_rollback.api.conditions import condition, merge_conditions
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.review import Review
from model_rollback.api.v1alpha1.rollback_record import RollbackStatus


def missing(review: Review) -> list[str]:
    """The fields that a complete review has and this one lacks."""
    wanted = {"rootCause": review.root_cause.strip(), "learnings": any(x.strip() for x in review.learnings)}
    return [name for name, given in wanted.items() if not given]


def reviewed(status: RollbackStatus, review: Review | None, *, at: datetime) -> RollbackStatus:
    """`status` with the condition `Reviewed`; unchanged while the Rollback runs, or nobody has said anything."""
    if not status.result or review is None:
        return status
    lacking = missing(review)
    open_ = sum(i.state == "Open" for i in review.improvements)
    words = (
        f"spec.review lacks {' and '.join(lacking)}"
        if lacking
        else f"{len(review.learnings)} learnings, {len(review.improvements)} improvements, {open_} of them open"
    )
    said = condition(
        "Reviewed",
        status=not lacking,
        reason=Reason.REVIEW_INCOMPLETE if lacking else Reason.REVIEWED,
        message=words,
        at=at,
        generation=status.observed_generation,
    )
    return status.model_copy(update={"conditions": merge_conditions(status.conditions, [said])})
