"""The record of a Rollback: its plan, evidence, progress and result."""

from typing import Annotated, Final, Literal

from pydantic import Field

from model_rollback.api.conditions import Condition
from model_rollback.api.types import Duration, Interval, StatusModel, Text, Time, Timeout, atomic, keyed
from model_rollback.api.v1alpha1.artifacts import PlannedArtifact
from model_rollback.api.v1alpha1.not_reverted import NotReverted
from model_rollback.api.v1alpha1.policy_step import MAX_STEPS, PolicyStep
from model_rollback.api.v1alpha1.probe import Probe
from model_rollback.api.v1alpha1.target import Target
from model_rollback.api.v1alpha1.trigger import Trigger

StepState = Literal["Pending", "Running", "Succeeded", "Failed", "Skipped", "Restored"]
StepAction = Literal["Revert", "Reprocess", "Job", "Notify", "Validate", "Restore"]
Result = Literal["Succeeded", "Failed", "Superseded", "Denied", "Aborted", "Undone"]
RestoredAs = Literal["Failed", "Aborted", "Undone"]
"""The results that a restore ends in."""
ProbeState = Literal["Passed", "Failed", "Unknown"]
MAX_TARGETS: Final = 5
"""How many versions one Rollback tries at most."""
Intent = Literal["Run", "Abort", "Resume", "Undo"]


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
    artifacts: Annotated[
        tuple[PlannedArtifact, ...],
        Field(
            description="What it was made of, as declared, and whether that was there before the first write.",
            **keyed("type", "uri", items=16),
        ),
    ] = ()
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
