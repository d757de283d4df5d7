"""`ModelDeployment`: the AI system, and how a version is pinned in it."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from model_rollback.api.types import (
    ApiModel,
    CelRule,
    ObjectName,
    StatusModel,
    keyed,
    require_unique,
    rule,
)
from model_rollback.api.v1alpha1.component import MAX_COMPONENTS, MAY_DECLARE, Component
from model_rollback.api.v1alpha1.meta import Column, KindInfo, ObjectMeta
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.api.v1alpha1.versions import DeclaredVersion, QuarantineRelease, Versioning


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
            Column("ACTIVE", ".status.activeRollback", description="The Rollback at work", priority=1),
            Column(
                "STATE",
                '.status.conditions[?(@.type=="Ready")].message',
                description="What there is to say of READY",
                priority=1,
            ),
        ),
    )

    metadata: ObjectMeta
    spec: Annotated[ModelDeploymentSpec, Field(description="What the system is made of.")]
    status: Annotated[ModelDeploymentStatus, Field(description="What was seen of it.")] = (
        ModelDeploymentStatus()
    )
