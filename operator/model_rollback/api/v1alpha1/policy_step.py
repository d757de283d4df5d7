"""`RollbackPolicy.spec.steps`: the procedure written out, instead of the plan that follows from `dependsOn`."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.types import ApiModel, CelRule, Name, Timeout, rule
from model_rollback.api.v1alpha1.probe import JobProbe

MAX_STEPS: Final = 32
_COMPONENT: Final = "a Revert names the component that it reverts, and no other action does"
_JOB: Final = "a Job says in job what it runs, and no other action does"
_TIMEOUT: Final = "timeout is for Revert; a Job has one of its own, in job"
_NAME: Final = "names that begin with restore- or reprocess- are given by the operator"


class PolicyStep(ApiModel):
    """One step of a written procedure; it begins when the one before it is done."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule("(self.action == 'Revert') == has(self.component)", _COMPONENT),
        rule("(self.action == 'Job') == has(self.job)", _JOB),
        rule("!has(self.timeout) || self.action == 'Revert'", _TIMEOUT),
        rule("!self.name.startsWith('restore-') && !self.name.startsWith('reprocess-')", _NAME),
    )

    name: Annotated[
        Name, Field(description="Name of the step, unique in this list. Example: `revert-model`.")
    ]
    action: Annotated[
        Literal["Revert", "Job", "Notify", "Validate"],
        Field(
            description="`Revert` puts a component back, with what belongs to that; `Job` runs a Job and waits for it; `Notify` tells people by an Event; `Validate` asks the probes and is the last one."
        ),
    ]
    component: Annotated[
        Name | None, Field(description="With `Revert`: the component. Example: `model`.")
    ] = None
    job: Annotated[
        JobProbe | None,
        Field(
            description="With `Job`: what it runs, within the same limits as a job probe. Example: `{template: {spec: {containers: [{name: warm, image: registry.example/warm:1}]}}}`."
        ),
    ] = None
    timeout: Annotated[
        Timeout | None,
        Field(description="With `Revert`: its limit. Example: `20m`. Default: `execution.stepTimeout`."),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.action == "Revert") != (self.component is not None):
            raise ValueError(f"step {self.name!r}: {_COMPONENT}")
        if (self.action == "Job") != (self.job is not None):
            raise ValueError(f"step {self.name!r}: {_JOB}")
        if self.timeout is not None and self.action != "Revert":
            raise ValueError(f"step {self.name!r}: {_TIMEOUT}")
        if self.name.startswith(("restore-", "reprocess-")):
            raise ValueError(f"step {self.name!r}: {_NAME}")
        return self


LAST: Final = "steps end with their one Validate"
ONCE: Final = "steps revert each component once"
STEPS_RULES: Final[tuple[CelRule, ...]] = (
    rule(
        "!has(self.steps) || self.steps.size() == 0 || (self.steps[self.steps.size() - 1].action == 'Validate' "
        "&& self.steps.filter(s, s.action == 'Validate').size() == 1)",
        LAST,
    ),
    rule(
        "!has(self.steps) || self.steps.all(s, !has(s.component) || "
        "self.steps.filter(t, has(t.component) && t.component == s.component).size() == 1)",
        ONCE,
    ),
)
"""What the list as a whole must hold, as CEL of the policy's spec."""


def check_steps(steps: list[PolicyStep]) -> None:
    """The same as `STEPS_RULES`; raises ValueError."""
    validating = [number for number, step in enumerate(steps) if step.action == "Validate"]
    if steps and validating != [len(steps) - 1]:
        raise ValueError(LAST)
    components = [s.component for s in steps if s.component is not None]
    if len(set(components)) != len(components):
        raise ValueError(ONCE)
