"""Which version a policy puts back, and on which conditions."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.types import (
    ApiModel,
    CelRule,
    Name,
    Period,
    VersionName,
    require_unique,
    rule,
    unique,
)


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
        Field(
            description="Whether a version that nobody verified may be put back: `Never`, or `WhenNoVerified` may be."
        ),
    ] = "Never"
    fallbacks: Annotated[
        list[VersionName],
        Field(
            description="Versions to try next, in this order, when the one of the strategy may not be put back or did not "
            "pass the validation. The same conditions hold for them. Without them `LastVerified` goes on to the next newest. Example: `[v11, v10]`.",
            **unique(10),
        ),
    ] = []
    requires: Annotated[
        list[Name],
        Field(
            description="Attestations that a version must carry in `spec.versions` of the ModelDeployment, none of them expired. Example: `[bias-audit]`.",
            **unique(16),
        ),
    ] = []
    max_age: Annotated[
        Period | None,
        Field(
            description="A version that was last live longer ago than this is not put back, nor one that was never seen live. Example: `720h`. Default: no limit."
        ),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.strategy == "Pinned") != (self.version is not None):
            raise ValueError(
                "target: version names the version to put back: give it with strategy Pinned, and only there"
            )
        require_unique(self.fallbacks, "fallback")
        require_unique(self.requires, "required attestation")
        return self
