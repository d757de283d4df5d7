"""`Rollback`: one execution of a procedure, and the record of it. It outlives its policy."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.types import (
    ApiModel,
    CelRule,
    StatusModel,
    Text,
    Time,
    VersionName,
    rule,
)
from model_rollback.api.v1alpha1.meta import Column, KindInfo, LocalRef, ObjectMeta
from model_rollback.api.v1alpha1.review import Review
from model_rollback.api.v1alpha1.rollback_record import Intent, RollbackStatus

Digest = Annotated[str, Field(max_length=64, pattern="^[0-9a-f]{64}$")]

_IMMUTABLE: Final = (
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
        *(rule(_unchanged(field), f"{field} is immutable") for field in _IMMUTABLE),
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
            Column("WHY", ".spec.reason", description="Why it was started", priority=1),
            Column(
                "HALTED",
                '.status.conditions[?(@.type=="Halted")].message',
                description="Why it waits for a person, and what is half done",
                priority=1,
            ),
            Column(
                "ENDED",
                '.status.conditions[?(@.type=="Complete")].message',
                description="How it ended, in words",
                priority=1,
            ),
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
