"""Versions of the whole system, as people declare them, and how others are recorded from what runs."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from model_rollback.api.types import ApiModel, Duration, Integer, Name, VersionName, keyed
from model_rollback.api.v1alpha1.artifacts import Artifact, Attestation

Safe = Literal["Verified", "Unverified"]


class PinValue(ApiModel):
    """The value of one pin of one component in a version."""

    component: Annotated[Name, Field(description="A component of this ModelDeployment. Example: `model`.")]
    pin: Annotated[Name, Field(description="A pin of that component. Preset `ContainerImage` has `image`.")]
    value: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            description="The value to pin. Example: `registry.example/recommender@sha256:9a0e…`.",
        ),
    ]


class DeclaredVersion(ApiModel):
    """A version of the whole system written down by a person."""

    name: Annotated[VersionName, Field(description="Name of the version. Example: `v12`.")]
    values: Annotated[
        list[PinValue],
        Field(
            min_length=1,
            description="One value for each pin that belongs to the version. Example: `[{component: model, pin: image, value: 'registry.example/recommender:v12'}]`.",
            **keyed("component", "pin", items=64),
        ),
    ]
    artifacts: Annotated[
        list[Artifact],
        Field(
            description="What it was made of. Example: `[{type: Model, uri: 'models:/recommender/12'}]`.",
            **keyed("type", "uri", items=16),
        ),
    ] = []
    attestations: Annotated[
        list[Attestation],
        Field(
            description="What was vouched for. Example: `[{name: bias-audit, uri: 'https://grc.example/audits/88', expires: '2027-01-31'}]`.",
            **keyed("name", items=16),
        ),
    ] = []
    safe: Annotated[
        Safe,
        Field(
            description="`Verified`: a person vouches that this version may be rolled back to. Example: `Verified`."
        ),
    ] = "Unverified"


class QuarantineRelease(ApiModel):
    """A person's word that a version may be a target again. It holds for the quarantine that there is when it is
    written, and for no later one."""

    version: Annotated[VersionName, Field(description="The version in quarantine. Example: `v11`.")]
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            description="Why, for the record. To release the version once more later, give another reason. Example: `fixed upstream`.",
        ),
    ]


class Versioning(ApiModel):
    """How versions are recorded from what runs."""

    record: Annotated[
        Literal["Automatic", "Declared"],
        Field(
            description="`Automatic`: what ran stably is recorded as a version. `Declared`: only `spec.versions` count."
        ),
    ] = "Automatic"
    stabilize_for: Annotated[
        Duration,
        Field(
            description="All components ready and unchanged for this long make a version; a half-rolled mixture never does. Example: `2m`."
        ),
    ] = timedelta(minutes=2)
    verified_after: Annotated[
        Duration,
        Field(
            description="This much time with every Rollback trigger judged Healthy makes a version Verified; time without data adds nothing. Example: `30m`."
        ),
    ] = timedelta(minutes=30)
    images: Annotated[
        Literal["ByDigest", "AsWritten"],
        Field(
            description="How a version's images are put back. `ByDigest`: a tag together with the digest that it stood for when the version was recorded, so that the same bits come back although the tag was moved; where no digest is known, as written. `AsWritten`: as in the recorded pod template. Example: `ByDigest`."
        ),
    ] = "ByDigest"
    history_limit: Annotated[
        Integer, Field(ge=2, le=100, description="How many recorded versions are kept. Example: `20`.")
    ] = 20
