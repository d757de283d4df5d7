"""`ModelDeployment`: the AI system, how a version is pinned in it, and which versions are known."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.conditions import Condition
from model_rollback.api.types import (
    ApiModel,
    CelRule,
    Duration,
    Integer,
    Name,
    ObjectName,
    StatusModel,
    Text,
    Time,
    VersionName,
    keyed,
    require_unique,
    rule,
    unique,
)
from model_rollback.api.v1alpha1.artifacts import Artifact, Attestation
from model_rollback.api.v1alpha1.component import MAX_COMPONENTS, MAY_DECLARE, Component
from model_rollback.api.v1alpha1.images import ImageID, RunningImage
from model_rollback.api.v1alpha1.meta import Column, KindInfo, ObjectMeta

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


def _no_circle() -> str:
    """CEL: `dependsOn` runs in no circle.

    CEL has neither loops nor variables. A list of one list, mapped again and again, serves as both: it starts as the
    components that wait for nothing, each round adds those that wait for these only, and after as many rounds as
    there can be components, those of a circle, and those behind it, are the ones still missing.
    """
    done = "[self.components.filter(c, !has(c.dependsOn) || c.dependsOn.size() == 0).map(c, c.name)]"
    for _ in range(MAX_COMPONENTS - 1):
        done += ".map(done, self.components.filter(c, !has(c.dependsOn) || c.dependsOn.all(d, d in done)).map(c, c.name))"
    return f"{done}[0].size() == self.components.size()"


class ModelDeploymentSpec(ApiModel):
    """The AI system: its components and its versions."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "self.components.all(c, !has(c.dependsOn) || c.dependsOn.all(d, self.components.exists(x, x.name == d)))",
            "dependsOn names a component that is not in this list",
        ),
        rule(_no_circle(), "dependsOn runs in a circle"),
        rule(
            "!has(self.versions) || self.versions.all(v, v.values.all(p, self.components.exists(c, "
            f"c.name == p.component && {MAY_DECLARE})))",
            "a version's value names a component or pin that does not exist, or that cannot be declared (pod templates and "
            "Secrets are recorded only); preset ContainerImage has the pin image",
        ),
    )

    service_account_name: Annotated[
        ObjectName | None,
        Field(
            description="The ServiceAccount of this namespace as which the operator writes to the targets, so that a rollback has no more rights than this account. The operator must be allowed to impersonate it. Example: `rollback-executor`. Default: the operator's own."
        ),
    ] = None
    components: Annotated[
        list[Component],
        Field(
            min_length=1,
            description="The parts of the system: models, pipelines, APIs, configuration. Example: `[{name: model, targetRef: {apiVersion: apps/v1, kind: Deployment, name: recommender}}]`.",
            **keyed("name", items=MAX_COMPONENTS),
        ),
    ]
    versions: Annotated[
        list[DeclaredVersion],
        Field(
            description="Versions declared by people; others are recorded from what runs. Example: `[{name: v12, safe: Verified, values: [{component: model, pin: image, value: 'registry.example/recommender:v12'}]}]`.",
            **keyed("name", items=50),
        ),
    ] = []
    versioning: Annotated[
        Versioning,
        Field(
            description="How versions are recorded from what runs. Example: `{stabilizeFor: 2m, verifiedAfter: 30m}`."
        ),
    ] = Versioning()
    quarantine_releases: Annotated[
        list[QuarantineRelease],
        Field(
            description="Versions that are released from quarantine before its end. Example: `[{version: v11, reason: fixed upstream}]`.",
            **keyed("version", items=50),
        ),
    ] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        require_unique([r.version for r in self.quarantine_releases], "quarantine release")
        names = [c.name for c in self.components]
        require_unique(names, "component")
        require_unique([v.name for v in self.versions], "version")
        for c in self.components:
            for d in c.depends_on:
                if d not in names:
                    raise ValueError(
                        f"component {c.name!r}: dependsOn names a component that is not in this list: {d!r}"
                    )
        by_name = {c.name: c for c in self.components}
        for v in self.versions:
            require_unique([f"{p.component}/{p.pin}" for p in v.values], f"version {v.name!r}: value")
            require_unique([f"{a.type} {a.uri}" for a in v.artifacts], f"version {v.name!r}: artifact")
            require_unique([a.name for a in v.attestations], f"version {v.name!r}: attestation")
            for p in v.values:
                if p.component not in by_name or not by_name[p.component].may_declare(p.pin):
                    raise ValueError(
                        f"version {v.name!r}: a value names a component or pin that does not exist, or that cannot be "
                        f"declared (pod templates and Secrets are recorded only): {p.component}/{p.pin}; "
                        "preset ContainerImage has the pin image"
                    )
        cycle = dependency_cycle(self.components)
        if cycle:
            raise ValueError(f"dependsOn runs in a circle: {' → '.join(cycle)}")
        return self


def dependency_cycle(components: list[Component]) -> list[str]:
    """One cycle of `dependsOn` as names, first = last; empty when there is none."""
    edges = {c.name: c.depends_on for c in components}
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for following in edges.get(name, []):
            found = walk(following, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    for name in edges:
        found = walk(name, [])
        if found:
            return found
    return []


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
        Field(description="Versions that are no candidates.", **keyed("digest", items=50)),
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


class ModelDeployment(StatusModel):
    """An AI system under protection: its components, their order, its versions, and the lock of its one active Rollback."""

    info: ClassVar[KindInfo] = KindInfo(
        kind="ModelDeployment",
        plural="modeldeployments",
        singular="modeldeployment",
        short="mdep",
        columns=(
            Column("VERSION", ".status.currentVersion", description="The live version"),
            Column(
                "VERIFIED", ".status.lastVerifiedVersion", description="The newest version known to be good"
            ),
            Column(
                "READY",
                '.status.conditions[?(@.type=="Ready")].status',
                description="Whether it is whole and watched",
            ),
            Column("AGE", ".metadata.creationTimestamp", type="date"),
        ),
    )

    metadata: ObjectMeta
    spec: Annotated[ModelDeploymentSpec, Field(description="What the system is made of.")]
    status: Annotated[ModelDeploymentStatus, Field(description="What was seen of it.")] = (
        ModelDeploymentStatus()
    )
