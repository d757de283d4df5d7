"""The file format of policy tests: a policy, what Prometheus would have answered, and what must follow."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from model_rollback.api.types import ApiModel, Duration, Interval, Name, Time, VersionName
from model_rollback.api.v1alpha1.trigger import TriggerState
from model_rollback.cli import notation
from model_rollback.cli.notation import Point

START: Final = datetime(2026, 1, 5, 10, tzinfo=UTC)
"""When a test begins that does not say so: a Monday morning."""


def _notated(read_steps: Any) -> Any:
    return BeforeValidator(lambda text: read_steps(str(text)))


Points = Annotated[tuple[Point, ...], _notated(notation.points)]
Failures = Annotated[tuple[str, ...], _notated(notation.failures)]


class Answer(ApiModel):
    """What comes back for one trigger, step by step."""

    trigger: Annotated[Name, Field(description="A trigger of the policy. Example: `accuracy-drop`.")]
    series: Annotated[
        dict[str, str] | None,
        Field(
            description="The labels of the series. Default: the labels that the trigger itself asks for. Example: `{model: recommender}`."
        ),
    ] = None
    values: Annotated[
        Points | None,
        Field(
            description="One value for each step: a decimal, `NaN`, `Inf`, `-Inf`, `_` for no sample, `old` for a sample older than `maxSampleAge`. After the last one the series has no more samples. For an alert: `1` while it fires, `0` while not. Example: `0.95x7 _x3 0.81x12`."
        ),
    ] = None
    failures: Annotated[
        Failures | None,
        Field(
            description="How the request goes at each step: `ok`, `timeout`, `503`, `partial`, `badquery`. After the last one: ok. Example: `ok x4 timeout x2`."
        ),
    ] = None
    traffic: Annotated[
        Points | None,
        Field(description="What the trigger's traffic query returns, like `values`. Example: `10x4 0x8`."),
    ] = None

    baseline: Annotated[
        Points | None,
        Field(
            description="What the baseline of `DropsBy` and `RisesBy` returns, like `values`. Default: with an `offset`, the values that long ago; else no data. Example: `0.95x20`."
        ),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if all(given is None for given in (self.values, self.failures, self.traffic, self.baseline)):
            raise ValueError("give values, failures, traffic or baseline")
        return self


class Versions(ApiModel):
    """What the ModelDeployment knows when the test begins."""

    current: Annotated[VersionName, Field(description="The live version. Example: `v13`.")] = "current"
    verified: Annotated[
        list[VersionName], Field(description="Verified versions, newest first. Example: `[v12]`.")
    ] = []
    quarantined: Annotated[
        list[VersionName],
        Field(description="Versions in quarantine during the whole test. Example: `[v11]`."),
    ] = []


class Started(ApiModel):
    """A rollback that must have started."""

    to: Annotated[
        VersionName | None, Field(description="The version put back. Default: any. Example: `v12`.")
    ] = None


class Expectation(ApiModel):
    """One thing that must hold: a trigger's state, a rollback, or what blocks one, at a step; or never a rollback."""

    at: Annotated[
        Duration | None,
        Field(description="The step, counted from the first one, which is `0s`. Example: `2m`."),
    ] = None
    trigger: Annotated[Name | None, Field(description="A trigger of the policy, with `state`.")] = None
    state: Annotated[
        TriggerState | None, Field(description="Its state, as in `status.triggers`. Example: `Pending`.")
    ] = None
    reason: Annotated[
        str | None,
        Field(
            description="Why it is in that state: `ThresholdExceeded`, `WithinThreshold`, or what could not be measured, e.g. `NoData`. Example: `ThresholdExceeded`."
        ),
    ] = None
    rollback: Annotated[
        Started | None,
        Field(description="A rollback starts at this step, and not before. Example: `{to: v12}`."),
    ] = None
    blocked: Annotated[
        str | None,
        Field(
            description="The gate that keeps a breach from starting a rollback at this step: the reason of `Armed=False`. Example: `CooldownActive`."
        ),
    ] = None
    never: Annotated[
        Literal["rollback"] | None, Field(description="`rollback`: none starts in the whole test.")
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        kinds = [
            self.trigger is not None,
            self.rollback is not None,
            self.blocked is not None,
            self.never is not None,
        ]
        if sum(kinds) != 1:
            raise ValueError("expect exactly one of: trigger with state, rollback, blocked, never")
        if (self.at is None) != (self.never is not None):
            raise ValueError("at says at which step: give it with everything but never")
        if (self.trigger is None) != (self.state is None) or (
            self.reason is not None and self.trigger is None
        ):
            raise ValueError("trigger and state are given together; reason only with them")
        return self


class PolicyTest(ApiModel):
    """One test of one policy."""

    name: Annotated[
        str, Field(description="What is tested, for the report. Example: `an outage is no breach`.")
    ] = ""
    policy: Annotated[
        str | dict[str, Any],
        Field(
            description="A file with the RollbackPolicy and, if it is there, its ModelDeployment, relative to this file; or the RollbackPolicy itself. Example: `recommender.yaml`."
        ),
    ]
    interval: Annotated[
        Interval | None, Field(description="Time between two steps. Default: the policy's interval.")
    ] = None
    start: Annotated[
        Time,
        Field(
            description="The time of the first step, for freeze windows and cooldowns. Default: `2026-01-05T10:00:00Z`."
        ),
    ] = START
    versions: Annotated[
        Versions | None,
        Field(
            description="What the ModelDeployment knows. Default: `current` is live, and `previous` is Verified unless the ModelDeployment declares a Verified version. Example: `{current: v13, verified: [v12], quarantined: [v11]}`."
        ),
    ] = None
    answers: Annotated[list[Answer], Field(description="What Prometheus answers.", max_length=500)] = []
    expect: Annotated[list[Expectation], Field(description="What must hold.", min_length=1, max_length=500)]
