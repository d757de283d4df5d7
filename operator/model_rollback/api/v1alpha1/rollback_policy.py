"""`RollbackPolicy`: the procedure. When a metric means that a version is bad, and what is done about it."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.conditions import Condition
from model_rollback.api.types import (
    ApiModel,
    CelRule,
    Duration,
    Integer,
    Interval,
    Name,
    StatusModel,
    Text,
    Threshold,
    Time,
    Timeout,
    VersionName,
    keyed,
    parse_range,
    require_unique,
    rule,
)
from model_rollback.api.v1alpha1.meta import Column, KindInfo, LocalRef, ObjectMeta
from model_rollback.api.v1alpha1.probe import Probe

Mode = Literal["Enforce", "Observe", "Suspended"]
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


class Target(ApiModel):
    """Which version is put back."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "(self.strategy == 'Pinned') == has(self.version)",
            "version names the version to put back: give it with strategy Pinned, and only there",
        ),
    )

    strategy: Annotated[
        Literal["LastVerified", "Previous", "Pinned"],
        Field(
            description="`LastVerified`: the newest Verified version that differs from what is live. "
            "`Previous`: the version recorded before the current one. `Pinned`: the one named by `version`."
        ),
    ] = "LastVerified"
    version: Annotated[VersionName | None, Field(description="With strategy `Pinned`. Example: `v12`.")] = (
        None
    )
    allow_unverified: Annotated[
        Literal["Never", "WhenNoVerified"],
        Field(description="Whether a version that nobody verified may be put back. Example: `Never`."),
    ] = "Never"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.strategy == "Pinned") != (self.version is not None):
            raise ValueError(
                "target: version names the version to put back: give it with strategy Pinned, and only there"
            )
        return self


class Execution(ApiModel):
    """How the steps are run."""

    step_timeout: Annotated[
        Timeout, Field(description="A step that is not done after this long has failed. Example: `10m`.")
    ] = timedelta(minutes=10)
    on_failure: Annotated[
        Literal["Halt", "Restore"],
        Field(
            description="When a step fails: `Halt` and ask people, or `Restore` what was before, in reverse order."
        ),
    ] = "Halt"


class Validation(ApiModel):
    """What must hold after the revert for the word Succeeded."""

    settle: Annotated[
        Duration | None,
        Field(
            description="Wait first, so that old samples leave the query windows. Example: `1m`. Default: the longest range window of the triggers, at least 1m."
        ),
    ] = None
    duration: Annotated[
        Duration, Field(description="Every probe must pass for this long. Example: `5m`.")
    ] = timedelta(minutes=5)
    probes: Annotated[
        list[Probe],
        Field(
            description="The proofs, all of which must hold. Example: `[{name: ready, readiness: {}}]`. Default: readiness of every component and recovery of the breached triggers.",
            **keyed("name", items=16),
        ),
    ] = []


class Guards(ApiModel):
    """What keeps rollbacks from following each other."""

    cooldown: Annotated[
        Duration, Field(description="No automatic Rollback for this long after one finished. Example: `30m`.")
    ] = timedelta(minutes=30)


class Quarantine(ApiModel):
    """How long the bad version is kept from being a target."""

    duration: Annotated[
        Duration, Field(description="After this it is an Unverified candidate again. Example: `168h`.")
    ] = timedelta(hours=168)


class RollbackPolicySpec(ApiModel):
    """When to roll a ModelDeployment back, to what, and how success is proved."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "!has(self.validation) || !has(self.validation.probes) || self.validation.probes.all(p, !has(p.trigger) || "
            "self.triggers.exists(t, t.name == p.trigger))",
            "a probe names a trigger that is not in this policy",
        ),
    )

    model_deployment_ref: Annotated[
        LocalRef, Field(description="The ModelDeployment that is protected. Example: `{name: recommender}`.")
    ]
    mode: Annotated[
        Mode,
        Field(
            description="`Enforce`: roll back; `Observe`: decide and record, write to no target; `Suspended`: start nothing new."
        ),
    ] = "Enforce"
    metrics_source: Annotated[
        Name,
        Field(
            description="A source named in the operator's own configuration; never a URL. Example: `default`."
        ),
    ] = "default"
    interval: Annotated[
        Interval, Field(description="How often the triggers are evaluated. Example: `15s`.")
    ] = timedelta(seconds=15)
    triggers: Annotated[
        list[Trigger],
        Field(
            min_length=1,
            description='What makes a version bad. One breached trigger is enough to start a Rollback. Example: `[{name: accuracy, query: model_quality{metric="accuracy"}, breach: {operator: LessThan, threshold: "0.90"}, for: 2m}]`.',
            **keyed("name", items=50),
        ),
    ]
    target: Annotated[
        Target, Field(description="Which version is put back. Example: `{strategy: Pinned, version: v12}`.")
    ] = Target()
    execution: Annotated[
        Execution, Field(description="How the steps are run. Example: `{stepTimeout: 10m, onFailure: Halt}`.")
    ] = Execution()
    validation: Annotated[
        Validation,
        Field(
            description="How success is proved after the revert. Example: `{duration: 5m, probes: [{name: ready, readiness: {}}]}`."
        ),
    ] = Validation()
    guards: Annotated[
        Guards,
        Field(description="What keeps rollbacks from following each other. Example: `{cooldown: 30m}`."),
    ] = Guards()
    quarantine: Annotated[
        Quarantine,
        Field(
            description="How long the bad version is kept from being a target. Example: `{duration: 168h}`."
        ),
    ] = Quarantine()

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [t.name for t in self.triggers]
        require_unique(names, "trigger")
        require_unique([p.name for p in self.validation.probes], "probe")
        for p in self.validation.probes:
            if p.trigger is not None and p.trigger not in names:
                raise ValueError(
                    f"probe {p.name!r} names a trigger that is not in this policy: {p.trigger!r}"
                )
        return self


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


class LastRollback(StatusModel):
    """The newest finished Rollback of this policy."""

    name: Annotated[str, Field(max_length=253, description="The Rollback.")]
    result: Annotated[str, Field(max_length=32, description="Its result. Example: `Succeeded`.")]
    finished_at: Annotated[Time, Field(description="When it finished.")]


class RollbackPolicyStatus(StatusModel):
    """What the triggers say and whether a breach would be answered. Written on a change only."""

    observed_generation: Annotated[int, Field(description="The generation this status was made from.")] = 0
    triggers: Annotated[
        tuple[TriggerStatus, ...], Field(description="State of each trigger.", **keyed("name", items=50))
    ] = ()
    last_rollback: Annotated[LastRollback | None, Field(description="The newest finished Rollback.")] = None
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            description="`Ready`, `Stalled`, `MetricsAvailable`, `Breached`, `Armed`.",
            **keyed("type", items=16),
        ),
    ] = ()


class RollbackPolicy(StatusModel):
    """The rollback procedure of one ModelDeployment: triggers, target, validation, guards."""

    info: ClassVar[KindInfo] = KindInfo(
        kind="RollbackPolicy",
        plural="rollbackpolicies",
        singular="rollbackpolicy",
        short="rbpol",
        columns=(
            Column(
                "MODEL", ".spec.modelDeploymentRef.name", description="The ModelDeployment that is protected"
            ),
            Column("MODE", ".spec.mode"),
            Column(
                "ARMED",
                '.status.conditions[?(@.type=="Armed")].reason',
                description="Armed, or the first gate that would block a rollback",
            ),
            Column("BREACHED", '.status.conditions[?(@.type=="Breached")].status'),
            Column("LAST-ROLLBACK", ".status.lastRollback.result"),
            Column("AGE", ".metadata.creationTimestamp", type="date"),
        ),
    )

    metadata: ObjectMeta
    spec: Annotated[RollbackPolicySpec, Field(description="The procedure.")]
    status: Annotated[RollbackPolicyStatus, Field(description="What the triggers say.")] = (
        RollbackPolicyStatus()
    )
