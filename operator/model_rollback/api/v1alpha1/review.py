"""The review of a Rollback: what people learned from it."""

from typing import Annotated, Literal

from pydantic import Field

from model_rollback.api.types import ApiModel, Day, Text, atomic


class Improvement(ApiModel):
    """Something to be done so that it does not happen again."""

    description: Annotated[
        Text, Field(min_length=1, description="What. Example: `Fail the build when a feature is constant`.")
    ]
    owner: Annotated[str, Field(max_length=253, description="Who sees to it. Example: `ml-platform`.")] = ""
    due_date: Annotated[Day | None, Field(description='By when. Example: `"2026-02-01"`.')] = None
    state: Annotated[
        Literal["Open", "Done", "Dropped"], Field(description="How far it is. Example: `Open`.")
    ] = "Open"


class Review(ApiModel):
    """What people say of a Rollback once they know. It is complete with a root cause and one learning."""

    root_cause: Annotated[
        Text, Field(description="Why the version was bad. Example: `The export left the scaling step out`.")
    ] = ""
    impact: Annotated[
        Text, Field(description="Who felt it, and how. Example: `11 minutes of poor recommendations`.")
    ] = ""
    learnings: Annotated[
        list[Text],
        Field(
            description="What is known now that was not known before. Example: `[Offline accuracy does not see skew]`.",
            **atomic(32),
        ),
    ] = []
    improvements: Annotated[
        list[Improvement],
        Field(
            description="What is done about it. Example: `[{description: Serve-time check of the scaler, owner: ml-platform, state: Open}]`.",
            **atomic(32),
        ),
    ] = []
    policy_updated: Annotated[
        Text,
        Field(
            description="What was changed in the policy, or why nothing. Example: `for: 5m became 2m`.",
        ),
    ] = ""
