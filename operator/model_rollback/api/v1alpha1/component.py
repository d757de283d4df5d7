"""A component: the object that carries its version, where in it the version lives, and when it is ready."""

from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.group import GROUP
from model_rollback.api.types import (
    ApiModel,
    CelRule,
    Name,
    ObjectName,
    Timeout,
    atomic,
    keyed,
    require_unique,
    rule,
)

ComponentType = Literal["Model", "Dataset", "Pipeline", "API", "Config", "Infrastructure"]
MAX_COMPONENTS: Final = 16
MAX_PINS: Final = 16
POD_KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet")
CONTAINER_PRESETS: Final = ("ContainerImage", "ContainerEnv", "ContainerArgs")

PinPath = Annotated[str, Field(min_length=1, max_length=512)]
Kind = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")]


def _quoted(words: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


class TargetRef(ApiModel):
    """The object in the same namespace that carries a component's version."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            f"!self.apiVersion.startsWith('{GROUP}/')",
            f"apiVersion {GROUP} is no target: the records of rollbacks are not rolled back",
        ),
    )

    api_version: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$",
            description="API version of the target. Example: `apps/v1`.",
        ),
    ]
    kind: Annotated[
        Kind,
        Field(
            description="Kind of the target, namespaced. Kinds that no preset knows need `pins`. Example: `Deployment`."
        ),
    ]
    name: Annotated[ObjectName, Field(description="Name of the target. Example: `recommender`.")]
    resource: Annotated[
        Name | None,
        Field(
            description="The plural of the kind as in URLs and in RBAC rules, for kinds that no preset knows; the operator asks the API server whether it is right. Example: `classifiers`."
        ),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.api_version.startswith(f"{GROUP}/"):
            raise ValueError(
                f"apiVersion {self.api_version} is no target: the records of rollbacks are not rolled back"
            )
        return self


class Pin(ApiModel):
    """One place in the target that holds a part of its version."""

    name: Annotated[Name, Field(description="Name of the pin, unique in the component. Example: `dataset`.")]
    path: Annotated[
        PinPath,
        Field(
            description="Where it is: keys with dots between them, `[name=value]` for an element of a list, `[0]` for the first, "
            '`["quoted.key"]`, and `|yaml` or `|json` to go on inside a document that a string holds. '
            "Example: `spec.template.spec.containers[name=server].env[name=MODEL_URI].value`."
        ),
    ]
    role: Annotated[
        Literal["Training", "Inference"] | None,
        Field(
            description="For a dataset: what it is used for. Example: `Training`.",
        ),
    ] = None


class StatedCondition(ApiModel):
    """A condition of the target that must hold."""

    type: Annotated[
        str, Field(min_length=1, max_length=316, description="Type of the condition. Example: `Ready`.")
    ]
    status: Annotated[
        Literal["True", "False", "Unknown"], Field(description="Its status. Example: `True`.")
    ] = "True"


class StatedField(ApiModel):
    """A field of the target that must hold a value."""

    path: Annotated[
        PinPath,
        Field(description="Where it is, as in `pins`. Example: `status.modelStatus.transitionStatus`."),
    ]
    equals: Annotated[
        str,
        Field(
            max_length=253,
            description="What it must hold; a number or a truth value as text. Example: `UpToDate`.",
        ),
    ]


class Readiness(ApiModel):
    """When the newest spec of the target is rolled out. All of it must hold, and `status.observedGeneration`, where there is one, must have caught up."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "(has(self.conditions) && self.conditions.size() > 0) || (has(self.fields) && self.fields.size() > 0)",
            "readiness needs at least one of conditions and fields; leave it out for the kind's own rule",
        ),
    )

    conditions: Annotated[
        list[StatedCondition],
        Field(
            description="Conditions that must hold. Example: `[{type: Ready, status: 'True'}]`.",
            **keyed("type", items=8),
        ),
    ] = []
    fields: Annotated[
        list[StatedField],
        Field(
            description="Fields that must hold a value. Example: `[{path: status.phase, equals: Running}]`.",
            **keyed("path", items=8),
        ),
    ] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.conditions and not self.fields:
            raise ValueError(
                "readiness needs at least one of conditions and fields; leave it out for the kind's own rule"
            )
        require_unique([c.type for c in self.conditions], "readiness: condition")
        require_unique([f.path for f in self.fields], "readiness: field")
        return self


class Consumer(ApiModel):
    """A workload that reads this component when it starts, and must be restarted to see a change of it."""

    kind: Annotated[
        Literal["Deployment", "StatefulSet", "DaemonSet"],
        Field(description="Kind of the workload. Example: `Deployment`."),
    ]
    name: Annotated[ObjectName, Field(description="Name of the workload. Example: `recommender`.")]


REPROCESS_NEEDS: Final = "reprocess runs a Job from a CronJob: give it with a targetRef of kind CronJob"


class Reprocess(ApiModel):
    """After the component is back, a Job is made from its CronJob, and those that depend on it wait until it is done."""

    timeout: Annotated[
        Timeout, Field(description="A Job that is not done after this long has failed. Example: `30m`.")
    ] = timedelta(minutes=30)


class Component(ApiModel):
    """One part of the AI system and where its version lives."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            f"has(self.preset) && self.preset in {_quoted(CONTAINER_PRESETS)} ? has(self.container) "
            ": !has(self.container) || (has(self.preset) && self.preset != 'PodTemplate')",
            "container names the container whose image, env or args is the version: give it with preset ContainerImage, "
            "ContainerEnv or ContainerArgs, and only there",
        ),
        rule(
            "has(self.preset) && self.preset == 'ContainerEnv' ? has(self.env) : !has(self.env)",
            "env names the environment variable that is the version: give it with preset ContainerEnv, and only there",
        ),
        rule(
            "!has(self.pins) || self.pins.size() == 0 || !has(self.preset)",
            "pins and preset both say where the version lives: give one of them",
        ),
        rule("!has(self.dependsOn) || !(self.name in self.dependsOn)", "a component cannot depend on itself"),
        rule("!has(self.reprocess) || self.targetRef.kind == 'CronJob'", REPROCESS_NEEDS),
    )

    name: Annotated[Name, Field(description="Name of the component, unique in this list. Example: `model`.")]
    type: Annotated[
        ComponentType,
        Field(
            description="What the component is to the AI system. The version is named after the first `Model`. Example: `Pipeline`."
        ),
    ] = "Model"
    target_ref: Annotated[
        TargetRef,
        Field(
            description="The object that is patched on a rollback. Example: `{apiVersion: apps/v1, kind: Deployment, name: recommender}`."
        ),
    ]
    preset: Annotated[
        Kind | None,
        Field(
            description="Which part of the target is the version. For workloads: `PodTemplate` (the whole pod template goes back, "
            "as with `kubectl rollout undo`: image, args, env and resources together; the default), `ContainerImage`, `ContainerEnv`, "
            "`ContainerArgs`; other kinds have a preset named after the kind, which is their default. Example: `ContainerImage`."
        ),
    ] = None
    container: Annotated[
        Name | None,
        Field(
            description="With preset `ContainerImage`, `ContainerEnv` or `ContainerArgs`: the container. Example: `server`."
        ),
    ] = None
    env: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=253,
            pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$",
            description="With preset `ContainerEnv`: the environment variable. Its literal value is recorded in clear text, in statuses and ControllerRevisions: no credentials; for these the container uses `valueFrom`. Example: `MODEL_URI`.",
        ),
    ] = None
    pins: Annotated[
        list[Pin],
        Field(
            description="Where the version lives, instead of a preset. Example: `[{name: dataset, path: 'spec.source.uri', role: Training}]`.",
            **keyed("name", items=MAX_PINS),
        ),
    ] = []
    readiness: Annotated[
        Readiness | None,
        Field(
            description="When the target counts as rolled out, instead of the rule of its kind. Kinds that no preset knows are judged by the conventions of Kubernetes: "
            "`observedGeneration`, and the conditions `Reconciling`, `Stalled` and `Ready`. Example: `{conditions: [{type: ModelReady, status: 'True'}]}`."
        ),
    ] = None
    restart: Annotated[
        list[Consumer],
        Field(
            description="Workloads that read this component only when they start: they are restarted when it was put back, as by `kubectl rollout restart`, "
            "and must be ready with it. Example: `[{kind: Deployment, name: recommender}]`.",
            **keyed("kind", "name", items=16),
        ),
    ] = []
    depends_on: Annotated[
        list[Name],
        Field(
            description="Components that must be reverted and ready before this one is touched. Example: `[features]`.",
            **atomic(MAX_COMPONENTS),
        ),
    ] = []
    reprocess: Annotated[
        Reprocess | None,
        Field(
            description="For a CronJob: after a revert, run a Job from it and wait for it before those that depend on it are touched. Example: `{timeout: 30m}`."
        ),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        wrong = (
            self.container is None
            if self.preset in CONTAINER_PRESETS
            else self.container is not None and self.preset in (None, "PodTemplate")
        )
        if wrong:
            raise ValueError(
                f"component {self.name!r}: container names the container whose image, env or args is the version: "
                "give it with preset ContainerImage, ContainerEnv or ContainerArgs, and only there"
            )
        if (self.preset == "ContainerEnv") != (self.env is not None):
            raise ValueError(
                f"component {self.name!r}: env names the environment variable that is the version: "
                "give it with preset ContainerEnv, and only there"
            )
        if self.pins and self.preset is not None:
            raise ValueError(
                f"component {self.name!r}: pins and preset both say where the version lives: give one of them"
            )
        require_unique([p.name for p in self.pins], f"component {self.name!r}: pin")
        require_unique([f"{c.kind} {c.name}" for c in self.restart], f"component {self.name!r}: restart")
        if self.name in self.depends_on:
            raise ValueError(f"component {self.name!r} cannot depend on itself")
        if self.reprocess is not None and self.target_ref.kind != "CronJob":
            raise ValueError(f"component {self.name!r}: {REPROCESS_NEEDS}")
        return self

    def may_declare(self, pin: str) -> bool:
        """Whether a declared version may give that pin a value, as far as the API server can tell; see core/kinds."""
        if self.target_ref.kind == "Secret":
            return False
        if self.pins:
            return True
        if self.preset == "ContainerImage":
            return pin == "image"
        return not (self.preset in (None, "PodTemplate") and self.target_ref.kind in POD_KINDS)


MAY_DECLARE: Final = (
    "c.targetRef.kind != 'Secret' && ((has(c.pins) && c.pins.size() > 0) || "
    "(has(c.preset) && c.preset == 'ContainerImage' ? p.pin == 'image' "
    f": !((!has(c.preset) || c.preset == 'PodTemplate') && c.targetRef.kind in {_quoted(POD_KINDS)})))"
)
"""`Component.may_declare` as CEL, of the component `c` and the value `p`."""
