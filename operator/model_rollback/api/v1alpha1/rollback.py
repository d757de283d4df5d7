"""`Rollback`: one execution of a procedure, and the record of it. It outlives its policy."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.conditions import Condition, is_true
from model_rollback.api.types import (
    ApiModel,
    CelRule,
    Duration,
    Interval,
    StatusModel,
    Text,
    Time,
    Timeout,
    VersionName,
    atomic,
    keyed,
    rule,
)
from model_rollback.api.v1alpha1.meta import Column, KindInfo, LocalRef, ObjectMeta
from model_rollback.api.v1alpha1.not_reverted import NotReverted
from model_rollback.api.v1alpha1.policy_step import MAX_STEPS, PolicyStep
from model_rollback.api.v1alpha1.probe import Probe
from model_rollback.api.v1alpha1.review import Review
from model_rollback.api.v1alpha1.target import Target
from model_rollback.api.v1alpha1.trigger import Trigger

Intent = Literal["Run", "Abort", "Resume", "Undo"]
StepState = Literal["Pending", "Running", "Succeeded", "Failed", "Skipped", "Restored"]
StepAction = Literal["Revert", "Reprocess", "Job", "Notify", "Validate", "Restore"]
Result = Literal["Succeeded", "Failed", "Superseded", "Denied", "Aborted", "Undone"]
Digest = Annotated[str, Field(max_length=64, pattern="^[0-9a-f]{64}$")]
RestoredAs = Literal["Failed", "Aborted", "Undone"]
"""The results that a restore ends in."""
ProbeState = Literal["Passed", "Failed", "Unknown"]
MAX_TARGETS: Final = 5
"""How many versions one Rollback tries at most."""

IMMUTABLE: Final = (
    "modelDeploymentRef",
    "policyRef",
    "type",
    "targetVersion",
    "fromVersion",
    "fromDigest",
    "targetDigest",
    "reason",
    "requestedBy",
)
"""Fields of the spec that nobody changes after creation, by wire name."""

_SAME_REQUEST: Final = (
    "self.spec.intent == oldSelf.spec.intent && has(self.spec.intentAt) == has(oldSelf.spec.intentAt) && "
    "(!has(self.spec.intentAt) || self.spec.intentAt == oldSelf.spec.intentAt)"
)
_NOT_HALTED: Final = "intent Resume is for a Rollback that is halted (condition Halted)"
_NOT_SUCCEEDED: Final = "intent Undo is for a Rollback with result Succeeded"
_NO_WAY_BACK: Final = "intent cannot go back to Run; a halted Rollback goes on with Resume"
_FINISHED: Final = "this Rollback is finished; all that can be asked of one that succeeded is Undo"


_JUDGED: Final = ("targetVersion", "targetDigest", "fromVersion", "fromDigest")
_JUDGED_MESSAGE: Final = f"type Incident needs {', '.join(_JUDGED)}: they say which versions were judged"
_REQUESTED_BY: Final = "type Incident is requested by a Policy, type Manual by a User"


def _unchanged(field: str) -> str:
    """CEL: a field of the spec is as it was; one that may be absent stays absent."""
    same = f"self.{field} == oldSelf.{field}"
    if field not in _JUDGED:
        return same
    return f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || {same})"


class RequestedBy(ApiModel):
    """Who decided."""

    kind: Annotated[
        Literal["Policy", "User"],
        Field(description="`Policy`: an automatic decision of the operator. `User`: a person."),
    ]
    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            description="The policy, or the person as the API server knows her. Example: `ann@shop.example`.",
        ),
    ]


class RollbackSpec(ApiModel):
    """The decision. Immutable but for what people want of it and say of it: `intent`, `intentAt`, `onAbort`,
    `review`."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        *(rule(_unchanged(field), f"{field} is immutable") for field in IMMUTABLE),
        rule(
            f"self.type != 'Incident' || ({' && '.join(f'has(self.{field})' for field in _JUDGED)})",
            _JUDGED_MESSAGE,
        ),
        rule("(self.type == 'Incident') == (self.requestedBy.kind == 'Policy')", _REQUESTED_BY),
    )

    model_deployment_ref: Annotated[
        LocalRef, Field(description="The AI system that goes back. Example: `{name: recommender}`.")
    ]
    policy_ref: Annotated[
        LocalRef, Field(description="The policy whose procedure is run. Example: `{name: recommender}`.")
    ]
    type: Annotated[
        Literal["Incident", "Manual"],
        Field(description="`Incident`: started by a breach. `Manual`: a person wants it."),
    ]
    target_version: Annotated[
        VersionName | None,
        Field(
            description="The version to put back; without it, with type `Manual`, the one that `target` of the policy comes to. Example: `v12`."
        ),
    ] = None
    target_digest: Annotated[
        Digest | None,
        Field(
            description="sha256 of its pin values, so that a name that moves cannot change what is put back. Example: `77aa…`.",
        ),
    ] = None
    reason: Annotated[Text, Field(description="Why, in words. Example: `accuracy-drop 0.81 < 0.90 for 2m`.")]
    from_version: Annotated[
        VersionName | None,
        Field(
            description="The version judged bad; with type `Manual` it may be left out: what runs when it starts. Example: `v13`."
        ),
    ] = None
    from_digest: Annotated[
        Digest | None,
        Field(
            description="sha256 of its pin values: a newer deploy in between is not this Rollback's to undo. Example: `9c41…`.",
        ),
    ] = None
    requested_by: Annotated[
        RequestedBy,
        Field(
            description="Who decided. Examples: `{kind: Policy, name: recommender}`, `{kind: User, name: ann@shop.example}`."
        ),
    ]
    intent: Annotated[
        Intent,
        Field(
            description="What people want of it now. While it runs: `Abort`. While it is halted: `Resume` (the step is repeated) or `Abort`. After it succeeded: `Undo` puts back what was before."
        ),
    ] = "Run"
    intent_at: Annotated[
        Time | None,
        Field(description="A new time makes the same intent a new request. Example: `2026-01-05T10:00:00Z`."),
    ] = None
    on_abort: Annotated[
        Literal["Restore", "Leave"],
        Field(
            description="On Abort: `Restore` what was before, in reverse order, or `Leave` everything as it is."
        ),
    ] = "Restore"
    review: Annotated[
        Review | None,
        Field(
            description="What people learned from it; may be written and changed at any time. Example: `{rootCause: The export left the scaling step out, learnings: [Offline accuracy does not see skew]}`."
        ),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        judged = (self.target_version, self.target_digest, self.from_version, self.from_digest)
        if self.type == "Incident" and None in judged:
            raise ValueError(_JUDGED_MESSAGE)
        if (self.type == "Incident") != (self.requested_by.kind == "Policy"):
            raise ValueError(_REQUESTED_BY)
        return self


class PinRecord(StatusModel):
    """A pin's value at one moment; objects are given by their digest and kept in a ControllerRevision."""

    pin: Annotated[str, Field(max_length=63, description="Name of the pin. Example: `image`.")]
    value: Annotated[str, Field(max_length=1024, description="Its value; a pod template as `sha256:…`.")]


class PlannedTarget(StatusModel):
    """A version that this Rollback may put back; when its validation fails, the next one is tried."""

    version: Annotated[str, Field(max_length=63, description="Name of the version. Example: `v12`.")]
    digest: Annotated[str, Field(max_length=64, description="sha256 of its pin values.")] = ""
    attempt: Annotated[
        int, Field(description="1 for the first that was put back, 2 for the next; 0: not tried.")
    ] = 0
    revision: Annotated[
        str, Field(max_length=253, description="The ControllerRevision with its values, once it is tried.")
    ] = ""
    served: Annotated[
        str,
        Field(max_length=63, description="What it calls itself when a probe asks, once it is tried."),
    ] = ""
    last_seen: Annotated[
        Time | None,
        Field(
            description="When it was last live before, once it is tried: a trigger that compares with the target compares with its measurements of then."
        ),
    ] = None
    message: Annotated[Text, Field(description="Why it was given up, or passed over.")] = ""


class Step(StatusModel):
    """One step of the plan."""

    name: Annotated[str, Field(max_length=128, description="Name of the step. Example: `revert-model`.")]
    action: Annotated[StepAction, Field(description="What it does.")]
    component: Annotated[
        str, Field(max_length=63, description="The component it touches; empty for Validate.")
    ] = ""
    depends_on: Annotated[
        tuple[Annotated[str, Field(max_length=128)], ...],
        Field(
            max_length=32,
            description="Steps that must be done before it starts; steps that do not wait for each other run side by side. Example: `[revert-features]`.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ] = ()
    attempt: Annotated[
        int, Field(description="Which of `targets` it leads to: 1 for the first that is tried.")
    ] = 1
    timeout: Annotated[
        Timeout | None, Field(description="Limit of this step, where it is not `stepTimeout`.")
    ] = None
    repeats: Annotated[int, Field(description="How often a person had it repeated by Resume.")] = 0
    state: Annotated[
        StepState,
        Field(description="`Skipped`: it was there already, not by us. `Restored`: done, then put back."),
    ] = "Pending"
    started_at: Annotated[Time | None, Field(description="When it began.")] = None
    written_at: Annotated[Time | None, Field(description="When the API server had answered the patch.")] = (
        None
    )
    finished_at: Annotated[Time | None, Field(description="When it ended.")] = None
    before: Annotated[
        tuple[PinRecord, ...], Field(description="Pins before the write.", **keyed("pin", items=16))
    ] = ()
    after: Annotated[
        tuple[PinRecord, ...], Field(description="Pins it writes.", **keyed("pin", items=16))
    ] = ()
    was_ready: Annotated[
        bool | None,
        Field(description="Whether the component was ready before; a Restore waits for readiness only then."),
    ] = None
    reason: Annotated[
        str, Field(max_length=64, description="Why it failed, in one word. Example: `StepTimedOut`.")
    ] = ""
    message: Annotated[Text, Field(description="What it waits for, or why it failed.")] = ""


class Sample(StatusModel):
    """One series of the answer that decided."""

    labels: Annotated[
        dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=32, description="Its labels.")
    ] = {}
    value: Annotated[str, Field(max_length=64, description="Its value. Example: `0.81`.")]


class Evidence(StatusModel):
    """What one breached trigger saw."""

    trigger: Annotated[str, Field(max_length=63, description="Name of the trigger.")]
    query: Annotated[str, Field(max_length=4096, description="The PromQL that was asked.")]
    operator: Annotated[str, Field(max_length=32, description="The comparison. Example: `LessThan`.")]
    threshold: Annotated[str, Field(max_length=64, description="The threshold. Example: `0.90`.")]
    value: Annotated[str, Field(max_length=64, description="The value that decided. Example: `0.81`.")]
    baseline: Annotated[
        str,
        Field(
            max_length=64,
            description="What it was compared with, for DropsBy and RisesBy. Example: `0.92`.",
        ),
    ] = ""
    observed_at: Annotated[Time, Field(description="Evaluation time of the query.")]
    breaching_since: Annotated[Time, Field(description="First bad evaluation.")]
    samples: Annotated[
        tuple[Sample, ...],
        Field(
            max_length=20,
            description="The series of the answer that decided.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ] = ()
    notes: Annotated[
        tuple[Text, ...],
        Field(
            max_length=10,
            description="Warnings and infos that came with the answers. Example: `warning: 1 of 3 stores did not answer`.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ] = ()
    policy_generation: Annotated[int, Field(description="Generation of the policy that judged.")] = 0


class Procedure(StatusModel):
    """The policy as resolved when the Rollback was planned; later edits of the policy apply to the next one."""

    step_timeout: Annotated[Timeout, Field(description="Limit of each step.")]
    on_failure: Annotated[Literal["Halt", "Restore"], Field(description="What a failed step leads to.")]
    steps: Annotated[
        tuple[PolicyStep, ...],
        Field(
            description="The steps as the policy lists them; empty: they follow from `dependsOn`.",
            **keyed("name", items=MAX_STEPS),
        ),
    ] = ()
    service_account_name: Annotated[
        str,
        Field(
            max_length=253, description="The account that writes to the targets; empty: the operator's own."
        ),
    ] = ""
    on_validation_failure: Annotated[
        Literal["NextTarget", "Halt", "Escalate"], Field(description="What a failed probe leads to.")
    ] = "NextTarget"
    target: Annotated[Target, Field(description="Which versions may be put back, on which conditions.")] = (
        Target()
    )
    settle: Annotated[Duration, Field(description="Wait before validation.")]
    duration: Annotated[Duration, Field(description="The probes must pass for this long.")]
    interval: Annotated[Interval, Field(description="How often the probes are asked.")]
    probes: Annotated[
        tuple[Probe, ...], Field(description="The probes, defaults resolved.", **keyed("name", items=66))
    ]
    metrics_source: Annotated[str, Field(max_length=63, description="Where trigger probes ask.")]
    triggers: Annotated[
        tuple[Trigger, ...], Field(description="The triggers that probes name.", **keyed("name", items=50))
    ] = ()
    quarantine: Annotated[Duration, Field(description="How long the bad version is no candidate.")]


class ProbeStatus(StatusModel):
    """The last answer of one probe."""

    probe: Annotated[str, Field(max_length=63, description="Name of the probe.")]
    state: Annotated[
        ProbeState, Field(description="`Passed`, `Failed`, or `Unknown`: it could not be asked.")
    ]
    observed: Annotated[Text, Field(description="What was seen. Example: `v12`.")] = ""
    message: Annotated[Text, Field(description="The answer in words.")] = ""
    at: Annotated[Time, Field(description="When this answer was first given.")]


class Timeline(StatusModel):
    """The moments that an incident report asks for."""

    breached_at: Annotated[Time | None, Field(description="First bad evaluation.")] = None
    detected_at: Annotated[Time | None, Field(description="The evaluation at which the trigger fired.")] = (
        None
    )
    first_write_at: Annotated[
        Time | None, Field(description="When the first target's patch was answered.")
    ] = None
    reverted_at: Annotated[Time | None, Field(description="When the last component was ready.")] = None
    validated_at: Annotated[Time | None, Field(description="When all probes had passed for long enough.")] = (
        None
    )
    finished_at: Annotated[Time | None, Field(description="When the result was written.")] = None


class RollbackStatus(StatusModel):
    """Plan, evidence, progress and result."""

    observed_generation: Annotated[int, Field(description="The generation this status was made from.")] = 0
    from_version: Annotated[str, Field(max_length=63, description="The bad version. Example: `v13`.")] = ""
    from_digest: Annotated[str, Field(max_length=64, description="sha256 of its pin values.")] = ""
    to_version: Annotated[str, Field(max_length=63, description="The version put back. Example: `v12`.")] = ""
    from_revision: Annotated[
        str,
        Field(
            max_length=253,
            description="The ControllerRevision with the bad version's values; Restore needs it.",
        ),
    ] = ""
    to_revision: Annotated[
        str, Field(max_length=253, description="The ControllerRevision with the target's values.")
    ] = ""
    targets: Annotated[
        tuple[PlannedTarget, ...],
        Field(
            description="What may be put back, in order: the first, then what is tried when its validation fails. Each at most once.",
            **keyed("version", items=MAX_TARGETS),
        ),
    ] = ()
    procedure: Annotated[
        Procedure | None, Field(description="The policy as resolved when this was planned.")
    ] = None
    plan_hash: Annotated[str, Field(max_length=64, description="sha256 of target, steps and procedure.")] = ""
    not_reverted: Annotated[
        tuple[NotReverted, ...],
        Field(
            description="Other changes since the bad version appeared, seen when it was planned: in the targets beside their pins, and in the ConfigMaps and Secrets that their pods use.",
            **atomic(50),
        ),
    ] = ()
    current_step: Annotated[
        str, Field(max_length=160, description="The running step, or where it halted.")
    ] = ""
    steps: Annotated[
        tuple[Step, ...], Field(description="The plan, in order.", **keyed("name", items=256))
    ] = ()
    evidence: Annotated[
        tuple[Evidence, ...], Field(description="What was seen.", **keyed("trigger", items=50))
    ] = ()
    validation: Annotated[
        tuple[ProbeStatus, ...], Field(description="Last answer of each probe.", **keyed("probe", items=66))
    ] = ()
    passing_since: Annotated[Time | None, Field(description="Since when all probes pass.")] = None
    timeline: Annotated[Timeline, Field(description="When what happened.")] = Timeline()
    handled_intent: Annotated[Intent, Field(description="The last intent acted upon.")] = "Run"
    handled_intent_at: Annotated[
        Time | None, Field(description="The `intentAt` of the last intent acted upon.")
    ] = None
    restoring: Annotated[
        RestoredAs | Literal[""],
        Field(description="While a restore runs: the result it will end in."),
    ] = ""
    result: Annotated[
        Result | Literal[""],
        Field(
            description="`Succeeded`, `Failed`, `Superseded`, `Denied`, `Aborted`, `Undone`; empty while it runs or is halted."
        ),
    ] = ""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            description="`Planned`, `Reverted`, `Validated`, `Halted`, `Complete`, `IntentAccepted`, `Reviewed`.",
            **keyed("type", items=16),
        ),
    ] = ()


class Rollback(StatusModel):
    """One rollback: what was decided on which evidence, what was done step by step, and how it ended."""

    info: ClassVar[KindInfo] = KindInfo(
        kind="Rollback",
        plural="rollbacks",
        singular="rollback",
        short="rbk",
        columns=(
            Column("MODEL", ".spec.modelDeploymentRef.name"),
            Column("FROM", ".status.fromVersion"),
            Column("TO", ".status.toVersion"),
            Column("TYPE", ".spec.type"),
            Column("STEP", ".status.currentStep", description="The running step, or where it halted"),
            Column("RESULT", ".status.result"),
            Column("AGE", ".metadata.creationTimestamp", type="date"),
        ),
    )
    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            f"self.spec.intent != 'Resume' || ({_SAME_REQUEST}) || (has(oldSelf.status) && "
            "has(oldSelf.status.conditions) && "
            "oldSelf.status.conditions.exists(c, c.type == 'Halted' && c.status == 'True'))",
            _NOT_HALTED,
        ),
        rule("self.spec.intent != 'Run' || oldSelf.spec.intent == 'Run'", _NO_WAY_BACK),
        rule(
            f"self.spec.intent != 'Undo' || ({_SAME_REQUEST}) || "
            "(has(oldSelf.status) && has(oldSelf.status.result) && oldSelf.status.result == 'Succeeded')",
            _NOT_SUCCEEDED,
        ),
        rule(
            f"({_SAME_REQUEST}) || self.spec.intent == 'Undo' || !has(oldSelf.status) || "
            "!has(oldSelf.status.result) || oldSelf.status.result == ''",
            _FINISHED,
        ),
    )

    metadata: ObjectMeta
    spec: Annotated[RollbackSpec, Field(description="The decision.")]
    status: Annotated[RollbackStatus, Field(description="Plan, evidence, progress and result.")] = (
        RollbackStatus()
    )


def refused_changes(old: Rollback, new: Rollback) -> list[str]:
    """Why the API server would refuse the change from `old` to `new`; empty when it would not.

    The same rules as `cel_rules`, for the command line, which tells people before it writes.
    """
    before, after = (r.spec.model_dump(mode="json", by_alias=True) for r in (old, new))
    refused = [f"{field} is immutable" for field in IMMUTABLE if before[field] != after[field]]
    same_request = (old.spec.intent, old.spec.intent_at) == (new.spec.intent, new.spec.intent_at)
    if new.spec.intent == "Resume" and not same_request and not is_true(old.status.conditions, "Halted"):
        refused.append(_NOT_HALTED)
    if new.spec.intent == "Run" and old.spec.intent != "Run":
        refused.append(_NO_WAY_BACK)
    undo = new.spec.intent == "Undo"
    if undo and not same_request and old.status.result != "Succeeded":
        refused.append(_NOT_SUCCEEDED)
    if old.status.result and not same_request and not undo:
        refused.append(_FINISHED)
    return refused
