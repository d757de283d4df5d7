"""A trigger: when a metric means that a version is bad, and what is published of it."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.types import (
    ApiModel,
    CelRule,
    Decimal,
    Duration,
    Integer,
    Name,
    Period,
    StatusModel,
    Text,
    Threshold,
    Time,
    Window,
    rule,
)
from model_rollback.api.v1alpha1.breach import (
    RECOVERY_RULE,
    Breach,
    LabelName,
    LabelValue,
    Query,
    check_recovery,
)

TriggerState = Literal["Healthy", "Pending", "Breached", "NoData", "Error", "Stale", "LowTraffic", "Settling"]
TriggerType = Literal["Accuracy", "Latency", "Bias", "Errors", "Drift", "Custom"]

_ONE_MEASUREMENT = "give exactly one of query, preset and alert"
_NO_BREACH = "breach says which values are bad: only a preset may have a default for it"
_ALERT_ALONE = (
    "a firing alert is bad as it is: breach, series, recoverAt and maxSampleAge go with query or preset, "
    "and an alert has labels of its own"
)
_NO_WINDOW = "window is the range window of a preset's query: a query of your own has it in its text"


class Traffic(ApiModel):
    """How much traffic there must be before a value means anything."""

    query: Annotated[
        Query,
        Field(
            description="PromQL that returns an instant vector or a scalar. Example: `sum by (model) (rate(requests_total[5m]))`."
        ),
    ]
    series: Annotated[
        dict[LabelName, LabelValue],
        Field(
            max_length=16,
            description="Labels that a series of the answer must have to count; empty: every series. What counts is added up. Example: `{model: recommender}`.",
        ),
    ] = {}
    at_least: Annotated[
        Decimal, Field(description='Below this, or when it is unknown, nothing is judged. Example: `"5"`.')
    ]


class Alert(ApiModel):
    """An alert of rules that the metrics source evaluates already."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            description="Name of the alerting rule. Example: `RecommenderSLOBurn`.",
        ),
    ]
    labels: Annotated[
        dict[LabelName, LabelValue],
        Field(
            max_length=16,
            description="Labels that the alert must have to be this trigger's; empty: every one of that name. Example: `{service: recommender}`.",
        ),
    ] = {}


class TriggerSpec(ApiModel):
    """One reason to roll back, as it is written in a policy: a measurement and what is bad about it."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "[has(self.query), has(self.preset), has(self.alert)].filter(given, given).size() == 1",
            _ONE_MEASUREMENT,
        ),
        rule("has(self.preset) || has(self.alert) || has(self.breach)", _NO_BREACH),
        rule(
            "!has(self.alert) || !(has(self.breach) || has(self.series) || has(self.recoverAt) || has(self.maxSampleAge))",
            _ALERT_ALONE,
        ),
        rule("has(self.preset) || !has(self.window)", _NO_WINDOW),
        RECOVERY_RULE,
    )

    name: Annotated[
        Name, Field(description="Name of the trigger, unique in this list. Example: `accuracy-drop`.")
    ]
    type: Annotated[
        TriggerType | None,
        Field(
            description="What it measures, for reports and dashboards. Example: `Accuracy`. Default: what the preset measures, else `Custom`."
        ),
    ] = None
    query: Annotated[
        Query | None,
        Field(
            description="PromQL that returns an instant vector or a scalar. Policies that share a query text share one request. "
            'Example: `avg by (model) (model_quality{metric="accuracy"})`.',
        ),
    ] = None
    preset: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=63,
            pattern=r"^[A-Z][A-Za-z0-9]*$",
            description="Instead of a query: the name of one that the operator ships for a model server's own metrics; docs/reference/presets.md lists them. `series` says which part of its answer is meant. Example: `KServeLatencyP95`.",
        ),
    ] = None
    alert: Annotated[
        Alert | None,
        Field(
            description="Instead of a query: it is bad while this alert of the metrics source's own rules fires. Example: `{name: RecommenderSLOBurn, labels: {service: recommender}}`."
        ),
    ] = None
    window: Annotated[
        Window | None,
        Field(
            description="The range window in a preset's query. A shorter one sees a breach sooner and less surely. Example: `2m`. Default: the preset's."
        ),
    ] = None
    series: Annotated[
        dict[LabelName, LabelValue],
        Field(
            max_length=16,
            description="Labels that a series of the answer must have to be this trigger's; empty: every series. Example: `{model: recommender}`.",
        ),
    ] = {}
    breach: Annotated[
        Breach | None,
        Field(
            description='Which values are bad. Example: `{operator: LessThan, threshold: "0.90"}`, '
            'or `{operator: DropsBy, threshold: "10%", baseline: {version: Target}}`. Default: the preset\'s, if it has one.'
        ),
    ] = None
    reduce: Annotated[
        Literal["Any", "All", "Max", "Min", "Avg", "Sum"],
        Field(
            description="What counts when several series are this trigger's: `Any` bad one, `All` of them bad, or their largest, smallest, mean or total value."
        ),
    ] = "Any"
    for_: Annotated[
        Duration | None,
        Field(
            alias="for",
            description="The values must be bad for this long, counted on evaluations that gave an answer, before the trigger is Breached. Example: `2m`. Default: the preset's, else `0s`.",
        ),
    ] = None
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
    recover_at: Annotated[
        Threshold | None,
        Field(
            description='Once breached, it is healthy again only beyond this. Examples: `"0.93"`, `"0.85..1.15"`, `"5%"`. Default: the threshold.'
        ),
    ] = None
    traffic: Annotated[
        Traffic | None,
        Field(
            description='Judge only while there is this much traffic. Example: `{query: "sum by (model) (rate(requests_total[5m]))", series: {model: recommender}, atLeast: "5"}`.'
        ),
    ] = None
    max_sample_age: Annotated[
        Period | None,
        Field(
            description="A value that rests on a sample older than this is Stale, which `onNoData` handles. It costs one more query for each selector. Example: `2m`. "
            "Default: as long as the metrics source gives a sample out, mostly 5m; so only less than that means anything."
        ),
    ] = None
    on_no_data: Annotated[
        Literal["Hold", "Breach", "Healthy"],
        Field(
            description="What an answer without a series, NaN, or a stale one means. `Hold`: nothing, the clock of `for` neither runs nor restarts; `Breach`: a bad value; `Healthy`: a good one."
        ),
    ] = "Hold"
    on_error: Annotated[
        Literal["Hold", "Breach"],
        Field(
            description="What an unreachable Prometheus or a refused query means. `Hold`: nothing, the clock of `for` neither runs nor restarts; `Breach`: a bad value."
        ),
    ] = "Hold"
    on_infinite: Annotated[
        Literal["NoData", "Compare"],
        Field(
            description="What an infinite value means. `NoData`: nothing, it is mostly a division by zero; `Compare`: a number like others."
        ),
    ] = "NoData"
    action: Annotated[
        Literal["Rollback", "Notify"],
        Field(description="What a breach leads to: a `Rollback`, or only to Events: `Notify`."),
    ] = "Rollback"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(x is not None for x in (self.query, self.preset, self.alert)) != 1:
            raise ValueError(f"trigger {self.name!r}: {_ONE_MEASUREMENT}")
        if self.alert is not None and (
            self.breach or self.series or self.recover_at is not None or self.max_sample_age is not None
        ):
            raise ValueError(f"trigger {self.name!r}: {_ALERT_ALONE}")
        if self.preset is None and self.alert is None and self.breach is None:
            raise ValueError(f"trigger {self.name!r}: {_NO_BREACH}")
        if self.preset is None and self.window is not None:
            raise ValueError(f"trigger {self.name!r}: {_NO_WINDOW}")
        if self.recover_at is not None and self.breach is not None:
            check_recovery(self.breach, self.recover_at)
        return self


class Trigger(TriggerSpec):
    """A trigger as it is judged: nothing is left to be looked up. A preset's name stays beside its query."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (RECOVERY_RULE,)

    type: Annotated[TriggerType, Field(description="What it measures. Example: `Accuracy`.")] = "Custom"
    query: Annotated[
        Query,
        Field(
            description='The PromQL that is asked. Example: `avg by (model) (model_quality{metric="accuracy"})`.',
        ),
    ]
    breach: Annotated[
        Breach,
        Field(description='Which values are bad. Example: `{operator: LessThan, threshold: "0.90"}`.'),
    ]
    for_: Annotated[
        Duration,
        Field(alias="for", description="For how long before the trigger is Breached. Example: `2m`."),
    ] = timedelta(0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.recover_at is not None:
            check_recovery(self.breach, self.recover_at)
        return self


class TriggerStatus(StatusModel):
    """The last state change of one trigger."""

    name: Annotated[str, Field(max_length=63, description="Name of the trigger. Example: `accuracy-drop`.")]
    state: Annotated[
        TriggerState,
        Field(
            description="`Healthy`, `Pending`: bad, not for long enough yet, `Breached`; or why nothing is judged: `NoData`, `Error`, `Stale`, `LowTraffic`, `Settling`."
        ),
    ]
    value: Annotated[str, Field(max_length=64, description="The value that made it so. Example: `0.81`.")] = (
        ""
    )
    observed_at: Annotated[Time, Field(description="The evaluation that made it so.")]
    since: Annotated[Time, Field(description="When this state began.")]
    breaching_since: Annotated[
        Time | None, Field(description="First bad evaluation of the running breach.")
    ] = None
    pending_since: Annotated[
        Time | None,
        Field(
            description="First bad evaluation of a clock of `for` or `consecutive` that is held while nothing is judged. Example: `2026-01-05T10:00:00Z` beside state `NoData`."
        ),
    ] = None
    consumed_by: Annotated[
        str,
        Field(
            max_length=253, description="The Rollback that this breach already caused; a breach causes one."
        ),
    ] = ""
    episode: Annotated[int, Field(description="The ModelDeployment's episode that this was said in.")] = 0
    message: Annotated[Text, Field(description="The state in words.")] = ""
