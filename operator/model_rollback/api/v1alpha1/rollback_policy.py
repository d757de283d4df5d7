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
    Time,
    Timeout,
    keyed,
    require_unique,
    rule,
)
from model_rollback.api.v1alpha1.guards import Guards, Ownership
from model_rollback.api.v1alpha1.meta import Column, KindInfo, LocalRef, ObjectMeta
from model_rollback.api.v1alpha1.policy_step import MAX_STEPS, STEPS_RULES, PolicyStep, check_steps
from model_rollback.api.v1alpha1.probe import Probe
from model_rollback.api.v1alpha1.target import Target
from model_rollback.api.v1alpha1.trigger import TriggerSpec, TriggerStatus

_MATCH_MESSAGE = "match.atLeast is more than there are triggers with action Rollback"

Mode = Literal["Enforce", "Observe", "Suspended"]


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
    on_failure: Annotated[
        Literal["NextTarget", "Halt", "Escalate"],
        Field(
            description="When a probe fails: `NextTarget` puts the next version of `target` back, each at most once, and halts when none is left; `Halt` asks people; `Escalate` also calls those who approve. Example: `Halt`."
        ),
    ] = "NextTarget"


class Quarantine(ApiModel):
    """How long the bad version is kept from being a target."""

    duration: Annotated[
        Duration, Field(description="After this it is an Unverified candidate again. Example: `168h`.")
    ] = timedelta(hours=168)


class Match(ApiModel):
    """How triggers work together."""

    at_least: Annotated[
        Integer,
        Field(
            ge=1,
            le=50,
            description="How many triggers with action Rollback must be breached at the same evaluation. Example: `2`.",
        ),
    ] = 1


class RollbackPolicySpec(ApiModel):
    """When to roll a ModelDeployment back, to what, and how success is proved."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "!has(self.validation) || !has(self.validation.probes) || self.validation.probes.all(p, !has(p.trigger) || "
            "self.triggers.exists(t, t.name == p.trigger))",
            "a probe names a trigger that is not in this policy",
        ),
        *STEPS_RULES,
        rule(
            "self.match.atLeast == 1 || self.match.atLeast <= self.triggers.filter(t, t.action == 'Rollback').size()",
            _MATCH_MESSAGE,
        ),
    )

    model_deployment_ref: Annotated[
        LocalRef, Field(description="The ModelDeployment that is protected. Example: `{name: recommender}`.")
    ]
    mode: Annotated[
        Mode,
        Field(
            description="`Enforce`: roll back; `Observe`: decide and record, write to no target; `Suspended`: start nothing new. It governs automatic rollbacks; one of type `Manual` runs in every mode."
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
        list[TriggerSpec],
        Field(
            min_length=1,
            description='What makes a version bad. One breached trigger is enough to start a Rollback, unless `match` says more. Example: `[{name: accuracy, query: model_quality{metric="accuracy"}, breach: {operator: LessThan, threshold: "0.90"}, for: 2m}]`.',
            **keyed("name", items=50),
        ),
    ]
    match: Annotated[
        Match, Field(description="How many triggers must be breached at once. Example: `{atLeast: 2}`.")
    ] = Match()
    target: Annotated[
        Target, Field(description="Which version is put back. Example: `{strategy: Pinned, version: v12}`.")
    ] = Target()
    steps: Annotated[
        list[PolicyStep],
        Field(
            description="The procedure, step by step, instead of the plan that follows from `dependsOn`. It must revert every component, none before those that it depends on; what does not differ is left out when it runs. Example: `[{name: first, action: Revert, component: model}, {name: proof, action: Validate}]`.",
            **keyed("name", items=MAX_STEPS),
        ),
    ] = []
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
        Field(
            description="What keeps rollbacks from following each other, and from coming at the wrong time. Example: `{cooldown: 30m, maxRollbacks: {count: 3, per: 24h}}`."
        ),
    ] = Guards()
    ownership: Annotated[
        Ownership,
        Field(
            description="What to do when somebody else writes the targets too. Example: `{onExternalManager: Refuse}`."
        ),
    ] = Ownership()
    quarantine: Annotated[
        Quarantine,
        Field(
            description="How long the bad version is kept from being a target. Example: `{duration: 168h}`."
        ),
    ] = Quarantine()

    history_limit: Annotated[
        Integer,
        Field(
            ge=1,
            le=1000,
            description="How many finished Rollbacks of this policy are kept; the oldest are deleted, never one that is unfinished or under review. Example: `50`.",
        ),
    ] = 50

    @model_validator(mode="after")
    def _check(self) -> Self:
        require_unique([s.name for s in self.steps], "step")
        check_steps(self.steps)
        names = [t.name for t in self.triggers]
        require_unique(names, "trigger")
        require_unique([p.name for p in self.validation.probes], "probe")
        if 1 < self.match.at_least > sum(t.action == "Rollback" for t in self.triggers):
            raise ValueError(_MATCH_MESSAGE)
        for p in self.validation.probes:
            if p.trigger is not None and p.trigger not in names:
                raise ValueError(
                    f"probe {p.name!r} names a trigger that is not in this policy: {p.trigger!r}"
                )
        return self


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
            Column(
                "GATE",
                '.status.conditions[?(@.type=="Armed")].message',
                description="What a breach would lead to now",
                priority=1,
            ),
            Column(
                "TRIGGERS",
                '.status.conditions[?(@.type=="Breached")].message',
                description="What is measured",
                priority=1,
            ),
        ),
    )

    metadata: ObjectMeta
    spec: Annotated[RollbackPolicySpec, Field(description="The procedure.")]
    status: Annotated[RollbackPolicyStatus, Field(description="What the triggers say.")] = (
        RollbackPolicyStatus()
    )
