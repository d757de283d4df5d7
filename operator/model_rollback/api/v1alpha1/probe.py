"""Probes: how a rollback proves that it worked."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from model_rollback.api.types import ApiModel, CelRule, Integer, Name, Text, rule


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

    service: Annotated[Name, Field(description="A Service in this namespace. Example: `recommender`.")]
    port: Annotated[Integer, Field(ge=1, le=65535, description="Its port. Example: `8080`.")]
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


class Probe(ApiModel):
    """One proof that the rollback worked; exactly one of its kinds is given."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "[has(self.readiness), has(self.http), has(self.trigger)].filter(x, x).size() == 1",
            "a probe is exactly one of readiness, http, trigger",
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

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(x is not None for x in (self.readiness, self.http, self.trigger)) != 1:
            raise ValueError(f"probe {self.name!r}: a probe is exactly one of readiness, http, trigger")
        return self
