"""The dry run of everything that the plan would write, under the identity that will write it."""

from dataclasses import dataclass, field

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.artifacts import PlannedArtifact
from model_rollback.core.paths import PathError
from model_rollback.core.references import Reference, references
from model_rollback.engine import artifacts
from model_rollback.engine.context import Context
from model_rollback.engine.steps import failure
from model_rollback.errors import ClusterError, Forbidden, NotFound, Unavailable
from model_rollback.ports import Object, ObjectRef


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why nothing may be written yet. `removed`: a component that is no part of the system any more."""

    reason: Reason
    message: str
    removed: bool = False


@dataclass(slots=True)
class Preflight:
    """One round of dry runs.

    Attributes:
        unknown: what the pods need and nobody could be asked about.
        artifacts: those of the version that is put back, asked anew.
    """

    context: Context
    unknown: set[Reference] = field(default_factory=set)
    artifacts: tuple[PlannedArtifact, ...] = ()

    async def check(self) -> Obstacle | None:
        """None when every step of the way to the present target passed.

        Raises:
            Unavailable: the API server could not be asked.
        """
        c = self.context
        self.artifacts = await artifacts.ask(c.world.objects, c.system.ref.namespace, c.artifacts)
        gone = artifacts.missing_in_words(self.artifacts)
        if gone:
            return Obstacle(Reason.ARTIFACT_MISSING, f"{c.status.to_version}: {gone}")
        for step in c.steps("Job"):
            try:
                await c.job_runner.try_job(step, c.job_of(step), c.served)
            except Unavailable:
                raise
            except ClusterError as error:
                refused = failure(error)
                return Obstacle(refused.reason, refused.message)
        return await self._check_reverts()

    async def _check_reverts(self) -> Obstacle | None:
        c = self.context
        for step in c.steps("Revert"):
            component = c.component(step.component)
            if component is None:
                said = f"component {step.component} was removed from the ModelDeployment."
                return Obstacle(Reason.TARGETS_MISSING, said, removed=True)
            try:
                wanted = (await c.values(c.status.to_revision))[step.component]
                result = await c.step_runner.dry_run(component, wanted)
                for following in c.steps("Reprocess"):
                    if following.component == step.component:
                        await c.job_runner.try_reprocess(following, result)
                missing = await self._missing(result)
            except PathError as error:
                return Obstacle(Reason.TARGETS_MISSING, str(error))
            except Unavailable:
                raise
            except ClusterError as error:
                refused = failure(error)
                return Obstacle(refused.reason, refused.message)
            if missing:
                names = ", ".join(map(str, missing))
                said = f"{step.component} at {c.status.to_version} needs what is not there: {names}"
                return Obstacle(Reason.ARTIFACT_MISSING, said)
        return None

    async def _missing(self, result: Object) -> list[Reference]:
        """What the pods of the resulting object cannot start without, and is not there."""
        missing = []
        for reference in references(result):
            ref = ObjectRef("v1", reference.kind, self.context.system.ref.namespace, reference.name)
            try:
                await self.context.world.objects.get(ref)
            except NotFound:
                missing.append(reference)
            except Forbidden:
                self.unknown.add(reference)
        return missing
