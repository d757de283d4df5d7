"""Probes: how a rollback proves that it worked."""

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from model_rollback.api.patterns import compile_pattern
from model_rollback.api.types import ApiModel, CelRule, Integer, Name, Text, Timeout, rule
from model_rollback.api.v1alpha1.breach import Breach, LabelName, LabelValue
from model_rollback.api.v1alpha1.pod_limits import check_pod_template

PROBE_KINDS: Final = ("readiness", "http", "trigger", "metric", "logs", "job")
"""The fields of a probe of which exactly one is given."""
_ONE_ADDRESS: Final = "an http probe asks exactly one of service and host"
_ONE_KIND: Final = f"a probe is exactly one of {', '.join(PROBE_KINDS)}"


class ReadinessProbe(ApiModel):
    """Passes while every component is rolled out and ready."""


class ExpectVersion(ApiModel):
    """Which version must answer."""

    json_path: Annotated[
        str,
        Field(
            max_length=256,
            pattern=r"^\$([.][A-Za-z_][A-Za-z0-9_-]*|\[[0-9]{1,4}\])+$",
            description="Where the version stands in the JSON answer. Example: `$.model_version`.",
        ),
    ]
    value: Annotated[
        Text | None,
        Field(
            description="What must stand there; default: what the target version calls itself in the label `app.kubernetes.io/version`, else its name. Example: `v12`."
        ),
    ] = None


class HttpProbe(ApiModel):
    """Passes when a Service of the own namespace answers as expected."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (rule("has(self.service) != has(self.host)", _ONE_ADDRESS),)

    service: Annotated[
        Name | None,
        Field(
            description="A Service in this namespace that selects pods; neither an ExternalName nor one without a selector is asked. Example: `recommender`."
        ),
    ] = None
    host: Annotated[
        str | None,
        Field(
            max_length=253,
            pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?[.])+[a-z]([-a-z0-9]*[a-z0-9])?$",
            description="Instead of a Service: a host that the operator's setting `probes.allowedHosts` lists with this port. Example: `models.example.com`.",
        ),
    ] = None
    port: Annotated[Integer, Field(ge=1, le=65535, description="Its port. Example: `8080`.")]
    scheme: Annotated[
        Literal["HTTP", "HTTPS"],
        Field(description="`HTTPS`: with a certificate for that name that the operator trusts."),
    ] = "HTTP"
    path: Annotated[
        str,
        Field(
            max_length=512,
            pattern=r"^/[A-Za-z0-9/_.~%?&=+,:;@-]*$",
            description="Path and query. Example: `/v1/health`.",
        ),
    ] = "/"
    expect_status: Annotated[
        Integer, Field(ge=100, le=599, description="The status that passes. Example: `200`.")
    ] = 200
    expect_version: Annotated[
        ExpectVersion | None,
        Field(description="Which version must answer. Example: `{jsonPath: $.model_version}`."),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.service is None) == (self.host is None):
            raise ValueError(_ONE_ADDRESS)
        return self


class MetricProbe(ApiModel):
    """Passes while a query of its own has healthy values; unlike a trigger it starts no Rollback."""

    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="PromQL that returns an instant vector or a scalar, asked of the policy's metrics source. Example: `avg(engagement_rate)`.",
        ),
    ]
    series: Annotated[
        dict[LabelName, LabelValue],
        Field(
            max_length=16,
            description="Labels that a series of the answer must have to be this probe's; empty: every series. Example: `{model: recommender}`.",
        ),
    ] = {}
    breach: Annotated[
        Breach,
        Field(
            description='Which values fail. One bad series is enough. Example: `{operator: LessThan, threshold: "0.12"}`.'
        ),
    ]


class LogsProbe(ApiModel):
    """Passes while the pods of a component have not logged a pattern more often than allowed since the revert."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule("'x'.matches(self.pattern) in [true, false]", "pattern is a regular expression of RE2's syntax"),
    )

    component: Annotated[
        Name,
        Field(description="A component of the ModelDeployment whose target runs pods. Example: `model`."),
    ]
    container: Annotated[
        Name | None,
        Field(description="Only this container of the pods. Example: `server`. Default: all of them."),
    ] = None
    pattern: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            description="Regular expression (RE2) that is looked for in each line. Example: `CUDA out of memory`.",
        ),
    ]
    max_matches: Annotated[
        Integer,
        Field(ge=0, le=1_000_000, description="So many lines may match, over all pods. Example: `0`."),
    ] = 0

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        compile_pattern(pattern)
        return pattern


class JobProbe(ApiModel):
    """Passes when a Job that the operator makes from this template completes."""

    template: Annotated[
        dict[str, Any],
        Field(
            description="Pod template of the Job, as in `batch/v1`. It runs in the own namespace as its `default` service account without a token; "
            "host access, privileges and Secrets are refused. `MODEL_ROLLBACK_VERSION` tells it which version must be there. "
            "Example: `{spec: {containers: [{name: smoke, image: registry.example/smoke:1}]}}`.",
            json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ]
    timeout: Annotated[
        Timeout, Field(description="A Job that runs for longer has failed. Example: `5m`.")
    ] = timedelta(minutes=5)

    @field_validator("template")
    @classmethod
    def _stays_inside(cls, template: dict[str, Any]) -> dict[str, Any]:
        check_pod_template(template)
        return template


class Probe(ApiModel):
    """One proof that the rollback worked; exactly one of its kinds is given."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            f"[{', '.join(f'has(self.{kind})' for kind in PROBE_KINDS)}].filter(x, x).size() == 1",
            _ONE_KIND,
        ),
    )

    name: Annotated[Name, Field(description="Name of the probe, unique in this list. Example: `answers`.")]
    readiness: Annotated[
        ReadinessProbe | None, Field(description="Every component is ready. Example: `{}`.")
    ] = None
    http: Annotated[
        HttpProbe | None,
        Field(
            description="A Service answers, with the right version. Example: `{service: recommender, port: 8080, path: /v1/health}`."
        ),
    ] = None
    trigger: Annotated[
        Name | None, Field(description="That trigger of this policy is Healthy. Example: `accuracy-drop`.")
    ] = None

    metric: Annotated[
        MetricProbe | None,
        Field(
            description='A query of its own is healthy. Example: `{query: avg(engagement_rate), breach: {operator: LessThan, threshold: "0.12"}}`.'
        ),
    ] = None
    logs: Annotated[
        LogsProbe | None,
        Field(
            description="The pods do not log a pattern. Example: `{component: model, pattern: CUDA out of memory}`."
        ),
    ] = None
    job: Annotated[
        JobProbe | None,
        Field(
            description="A Job completes. Example: `{template: {spec: {containers: [{name: smoke, image: registry.example/smoke:1}]}}}`."
        ),
    ] = None

    @property
    def kind(self) -> str:
        """Which of `PROBE_KINDS` it is."""
        return next(kind for kind in PROBE_KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in PROBE_KINDS) != 1:
            raise ValueError(f"probe {self.name!r}: {_ONE_KIND}")
        return self
