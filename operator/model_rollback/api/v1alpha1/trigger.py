"""A trigger: when a metric means that a version is bad, and what is published of it."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.types import (
    ApiModel,
    CelRule,
    Duration,
    Integer,
    Name,
    StatusModel,
    Text,
    Threshold,
    Time,
    parse_range,
    rule,
)

Operator = Literal[
    "LessThan",
    "LessThanOrEqual",
    "GreaterThan",
    "GreaterThanOrEqual",
    "Equal",
    "NotEqual",
    "Outside",
    "Inside",
]
TriggerState = Literal["Healthy", "Pending", "Breached", "NoData", "Error"]
LabelName = Annotated[str, Field(max_length=128, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
LabelValue = Annotated[str, Field(max_length=256)]

_RANGE_MESSAGE = "Outside and Inside take a range low..high with low <= high, e.g. 0.8..1.2; the other operators one decimal"


class Breach(ApiModel):
    """Which values are bad."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "self.operator in ['Outside', 'Inside'] ? self.threshold.contains('..') && "
            "double(self.threshold.split('..')[0]) <= double(self.threshold.split('..')[1]) "
            ": !self.threshold.contains('..')",
            _RANGE_MESSAGE,
        ),
    )

    operator: Annotated[
        Operator,
        Field(
            description="How the value is compared: it is bad when it is, say, less than the threshold. `Outside` and `Inside` take an inclusive range. Example: `LessThan`."
        ),
    ]
    threshold: Annotated[
        Threshold, Field(description='A decimal as a string, or a range. Examples: `"0.90"`, `"0.8..1.2"`.')
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        ranged = self.operator in ("Outside", "Inside")
        low, high = parse_range(self.threshold)
        if ranged != (".." in self.threshold) or low > high:
            raise ValueError(f"breach {self.operator} {self.threshold!r}: {_RANGE_MESSAGE}")
        return self


class Trigger(ApiModel):
    """One reason to roll back: a query and what is bad about its answer."""

    name: Annotated[
        Name, Field(description="Name of the trigger, unique in this list. Example: `accuracy-drop`.")
    ]
    type: Annotated[
        Literal["Accuracy", "Latency", "Bias", "Errors", "Drift", "Custom"],
        Field(description="What it measures, for reports and dashboards. Example: `Accuracy`."),
    ] = "Custom"
    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="PromQL that returns an instant vector or a scalar. Policies that share a query text share one request. "
            'Example: `avg by (model) (model_quality{metric="accuracy"})`.',
        ),
    ]
    series: Annotated[
        dict[LabelName, LabelValue],
        Field(
            max_length=16,
            description="Labels that a series of the answer must have to be this trigger's; empty: every series. Example: `{model: recommender}`.",
        ),
    ] = {}
    breach: Annotated[
        Breach,
        Field(
            description='Which values are bad. One bad series is enough. Example: `{operator: LessThan, threshold: "0.90"}`.'
        ),
    ]
    for_: Annotated[
        Duration,
        Field(
            alias="for",
            description="The values must be bad for this long, counted on evaluations that gave an answer, before the trigger is Breached. Example: `2m`.",
        ),
    ] = timedelta(0)
    consecutive: Annotated[
        Integer,
        Field(
            ge=1,
            le=1000,
            description="And they must be bad on this many evaluations with no healthy one between. Example: `3`.",
        ),
    ] = 1
    max_hold: Annotated[
        Duration | None,
        Field(
            description="The clock of `for` starts anew when nothing could be judged for longer than this. Example: `5m`. Default: the larger of 5 intervals and 5m."
        ),
    ] = None
    on_no_data: Annotated[
        Literal["Hold", "Breach", "Healthy"],
        Field(
            description="What an answer without a series, or NaN, means. `Hold`: nothing, the clock of `for` neither runs nor restarts; `Breach`: a bad value; `Healthy`: a good one."
        ),
    ] = "Hold"
    on_error: Annotated[
        Literal["Hold", "Breach"],
        Field(
            description="What an unreachable Prometheus or a refused query means. `Hold`: nothing, the clock of `for` neither runs nor restarts; `Breach`: a bad value."
        ),
    ] = "Hold"


class TriggerStatus(StatusModel):
    """The last state change of one trigger."""

    name: Annotated[str, Field(max_length=63, description="Name of the trigger. Example: `accuracy-drop`.")]
    state: Annotated[
        TriggerState, Field(description="`Healthy`, `Pending`, `Breached`, `NoData` or `Error`.")
    ]
    value: Annotated[str, Field(max_length=64, description="The value that made it so. Example: `0.81`.")] = (
        ""
    )
    observed_at: Annotated[Time, Field(description="The evaluation that made it so.")]
    since: Annotated[Time, Field(description="When this state began.")]
    breaching_since: Annotated[
        Time | None, Field(description="First bad evaluation of the running breach.")
    ] = None
    consumed_by: Annotated[
        str,
        Field(
            max_length=253, description="The Rollback that this breach already caused; a breach causes one."
        ),
    ] = ""
    episode: Annotated[int, Field(description="The ModelDeployment's episode that this was said in.")] = 0
    message: Annotated[Text, Field(description="The state in words.")] = ""
