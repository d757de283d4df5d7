"""The status of a `ModelDeployment`: what runs, the versions that are known, and the lock of its one active Rollback."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from model_rollback.api.conditions import Condition
from model_rollback.api.types import Duration, StatusModel, Text, Time, keyed, unique
from model_rollback.api.v1alpha1.component import MAX_COMPONENTS
from model_rollback.api.v1alpha1.images import ImageID, RunningImage
from model_rollback.api.v1alpha1.versions import PinValue, Safe


class ObservedPin(StatusModel):
    """What one pin holds now; objects are given by their digest."""

    pin: Annotated[str, Field(max_length=63, description="Name of the pin. Example: `image`.")]
    value: Annotated[str, Field(max_length=1024, description="Its value; a pod template as `sha256:…`.")]
    image_id: Annotated[
        ImageID,
        Field(
            alias="imageID",
            description="The image that its pods run, of a pod template that of the first container; empty while it is not known, or where the pods differ. Example: `registry.example/recommender@sha256:9a0e…`.",
        ),
    ] = ""


class ComponentStatus(StatusModel):
    """What one component runs now."""

    name: Annotated[str, Field(max_length=63, description="Name of the component. Example: `model`.")]
    observed: Annotated[
        tuple[ObservedPin, ...], Field(description="Live value of each pin.", **keyed("pin", items=16))
    ] = ()
    ready: Annotated[
        Literal["True", "False", "Unknown"],
        Field(description="Whether the live version is rolled out and ready."),
    ] = "Unknown"
    message: Annotated[
        Text, Field(description="Why not ready. Example: `1 of 2 updated replicas are available`.")
    ] = ""
    pods_seen: Annotated[
        str,
        Field(
            max_length=64,
            description="The `resourceVersion` of the target when the images of its pods were read; while it is the same they are not read again.",
        ),
    ] = ""


class Author(StatusModel):
    """Who wrote what a version consists of, as the API server's `managedFields` say."""

    manager: Annotated[
        str, Field(max_length=128, description="The field manager. Example: `kubectl-client-side-apply`.")
    ]
    at: Annotated[Time, Field(description="When it last wrote the target.")]


class RecordedVersion(StatusModel):
    """A version that ran, stable and whole."""

    version: Annotated[str, Field(max_length=63, description="Its name. Example: `v12`.")]
    digest: Annotated[str, Field(max_length=64, description="sha256 of its pin values: its identity.")]
    first_seen: Annotated[Time, Field(description="When it was first seen live.")]
    last_seen: Annotated[
        Time | None, Field(description="When it stopped being live; absent while it is live.")
    ] = None
    safe: Annotated[Safe, Field(description="`Verified` after `verifiedAfter` of healthy time.")] = (
        "Unverified"
    )
    healthy_for: Annotated[
        Duration, Field(description="Time judged Healthy so far, written on transitions. Example: `12m`.")
    ] = timedelta(0)
    revision: Annotated[
        str, Field(max_length=253, description="The ControllerRevision that keeps its values.")
    ] = ""
    changed_by: Annotated[
        tuple[Author, ...],
        Field(description="Who wrote the pinned fields, newest first.", **keyed("manager", items=16)),
    ] = ()
    values: Annotated[
        tuple[PinValue, ...],
        Field(
            description="Its pin values; a pod template as `sha256:…`.", **keyed("component", "pin", items=64)
        ),
    ] = ()
    images: Annotated[
        tuple[RunningImage, ...],
        Field(
            description="The images that its pods ran; of other kinds than Deployment, StatefulSet and DaemonSet nothing is known.",
            **keyed("component", "container", items=64),
        ),
    ] = ()
    aliases: Annotated[
        tuple[Annotated[str, Field(max_length=64)], ...],
        Field(
            description="Other identities of the same version: with its images by tag, or by digest.",
            **unique(8),
        ),
    ] = ()
    moved_from: Annotated[
        str,
        Field(
            max_length=63,
            description="The version that had the same pins until a tag moved to other bits. Example: `v12`.",
        ),
    ] = ""
    unavailable: Annotated[Text, Field(description="Why it can never be put back; empty when it can.")] = ""

    def is_of(self, digest: str) -> bool:
        """Whether pins of that identity are this version."""
        return digest == self.digest or digest in self.aliases


class QuarantinedVersion(StatusModel):
    """A version that was rolled back from and is no candidate until `until`."""

    version: Annotated[str, Field(max_length=63, description="Its name. Example: `v13`.")]
    digest: Annotated[str, Field(max_length=64, description="sha256 of its pin values.")]
    rollback: Annotated[str, Field(max_length=253, description="The Rollback that put it here.")]
    until: Annotated[
        Time,
        Field(
            description="When it may be a target again, as Unverified. A version that is declared Verified stays listed, and Unverified, until it is released."
        ),
    ]


class ReleasedQuarantine(StatusModel):
    """A release that was carried out, so that it is not again when the version is quarantined anew."""

    version: Annotated[str, Field(max_length=63, description="The version.")]
    reason: Annotated[str, Field(max_length=1024, description="The reason that was given.")]
    rollback: Annotated[
        str,
        Field(
            max_length=253,
            description="The Rollback that had quarantined it; empty: it was not in quarantine.",
        ),
    ] = ""
    at: Annotated[Time, Field(description="When it was released.")]


class FinishedRollback(StatusModel):
    """Kept here so that deleting a Rollback resets neither cooldown nor budget."""

    name: Annotated[str, Field(max_length=253, description="The Rollback.")]
    policy: Annotated[str, Field(max_length=253, description="Its policy.")] = ""
    type: Annotated[str, Field(max_length=32, description="Its type. Example: `Incident`.")]
    finished_at: Annotated[Time, Field(description="When it finished.")]
    result: Annotated[str, Field(max_length=32, description="Its result. Example: `Succeeded`.")]


class ModelDeploymentStatus(StatusModel):
    """What runs now and what is known about it."""

    observed_generation: Annotated[int, Field(description="The generation this status was made from.")] = 0
    current_version: Annotated[
        str,
        Field(
            max_length=63,
            description="Name of the live version; empty while components hold a mixture. Example: `v13`.",
        ),
    ] = ""
    current_digest: Annotated[str, Field(max_length=64, description="sha256 of the live pin values.")] = ""
    current_since: Annotated[
        Time | None,
        Field(description="When it replaced another version; absent while no change was seen."),
    ] = None
    current_by: Annotated[
        str,
        Field(max_length=253, description="The Rollback that put it there; empty when it was not by one."),
    ] = ""
    components: Annotated[
        tuple[ComponentStatus, ...],
        Field(description="What each component runs.", **keyed("name", items=MAX_COMPONENTS)),
    ] = ()
    history: Annotated[
        tuple[RecordedVersion, ...],
        Field(description="Recorded versions, newest first.", **keyed("digest", items=100)),
    ] = ()
    last_verified_version: Annotated[
        str, Field(max_length=63, description="The newest Verified version. Example: `v12`.")
    ] = ""
    active_rollback: Annotated[
        str,
        Field(max_length=253, description="The lock: the one Rollback that may write to the targets now."),
    ] = ""
    episode: Annotated[int, Field(ge=0, description="Grows when one current version replaces another.")] = 0
    attempt: Annotated[int, Field(ge=0, description="Grows in the write that clears the lock.")] = 0
    last_rollbacks: Annotated[
        tuple[FinishedRollback, ...],
        Field(description="Finished Rollbacks, newest first.", **keyed("name", items=50)),
    ] = ()
    quarantined: Annotated[
        tuple[QuarantinedVersion, ...],
        Field(
            description="Versions that are no candidates, by the Rollbacks that keep them out.",
            **keyed("digest", "rollback", items=50),
        ),
    ] = ()
    released: Annotated[
        tuple[ReleasedQuarantine, ...],
        Field(
            description="Releases of `spec.quarantineReleases` that were carried out.",
            **keyed("version", items=50),
        ),
    ] = ()
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            description="`Ready`, `Stalled`, `ExternallyManaged` and `MutableReference`.",
            **keyed("type", items=16),
        ),
    ] = ()
