"""Conditions as the Kubernetes API conventions want them: one per type, transition time moves with the status only."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from model_rollback.api.reasons import Reason
from model_rollback.api.types import StatusModel, Time

ConditionStatus = Literal["True", "False", "Unknown"]

MESSAGE_LIMIT = 1024


class Condition(StatusModel):
    """One observation about an object (metav1.Condition)."""

    type: Annotated[str, Field(max_length=64, description="What is said, e.g. `Ready`.")]
    status: Annotated[ConditionStatus, Field(description="`True`, `False` or `Unknown`.")]
    observed_generation: Annotated[
        int, Field(description="The `metadata.generation` this was said of. Example: `3`.")
    ] = 0
    last_transition_time: Annotated[
        Time, Field(description="When `status` last changed. Example: `2026-01-05T10:00:00Z`.")
    ]
    reason: Annotated[str, Field(max_length=64, description="Why, for programs. Example: `NoSafeTarget`.")]
    message: Annotated[
        str, Field(max_length=MESSAGE_LIMIT, description="Why, for people, with what to do about it.")
    ] = ""


def truncate(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """At most `limit` characters, the end replaced by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def condition(
    type_: str, *, status: bool | None, reason: Reason, message: str, at: datetime, generation: int = 0
) -> Condition:
    """A condition said now; `status` None is Unknown."""
    word: ConditionStatus = "Unknown" if status is None else "True" if status else "False"
    return Condition(
        type=type_,
        status=word,
        observed_generation=generation,
        last_transition_time=at,
        reason=reason.value,
        message=truncate(message),
    )


def merge_conditions(old: Iterable[Condition], new: Iterable[Condition]) -> tuple[Condition, ...]:
    """`old` with each of `new` put in by type; the transition time is kept where the status is the same."""
    merged = {c.type: c for c in old}
    for c in new:
        before = merged.get(c.type)
        unmoved = before is not None and before.status == c.status
        merged[c.type] = (
            c.model_copy(update={"last_transition_time": before.last_transition_time})
            if before and unmoved
            else c
        )
    return tuple(merged.values())


def find_condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type, or None."""
    return next((c for c in conditions if c.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether the condition is there and True."""
    found = find_condition(conditions, type_)
    return found is not None and found.status == "True"
