"""Job: a check that somebody wrote as a container runs to its end."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

from model_rollback.api.group import ANNOTATION_ROLLBACK, API_VERSION
from model_rollback.api.v1alpha1.probe import JobProbe, Probe
from model_rollback.core.jobs import inside
from model_rollback.core.pins import digest
from model_rollback.engine.probes.asker import Round, Surroundings
from model_rollback.errors import NotFound
from model_rollback.ports import Object, ObjectRef, ProbeAnswer

ATTEMPTS: Final = 3


class Job:
    """One Job after another until one completes, `ATTEMPTS` at most.

    Their names follow from the validation and the number, so a process that starts anew finds what the old one made.
    """

    final: ClassVar = False

    def __init__(self, probe: Probe, around: Surroundings) -> None:
        if probe.job is None:
            raise TypeError(f"probe {probe.name} is no job probe")
        self._name = probe.name
        self._probe: JobProbe = probe.job
        self._around = around
        self._attempt = 1
        self._passed: ProbeAnswer | None = None

    async def ask(self, round_: Round) -> ProbeAnswer:
        """See `Asker`. A Job that has completed has passed for good."""
        del round_
        if self._passed is not None:
            return self._passed
        ref = self._ref(self._attempt)
        try:
            job = await self._around.objects.get(ref)
        except NotFound:
            await self._around.writer.create(ref, self._manifest(ref))
            return ProbeAnswer("Unknown", "started", f"Job {ref.name} was started")
        if not self._is_ours(job):
            return ProbeAnswer("Unknown", ref.name, f"{ref} was not made for this Rollback; delete it")
        conditions = {c.get("type"): c for c in (job.get("status") or {}).get("conditions") or ()}
        if _holds(conditions, "Complete"):
            self._passed = ProbeAnswer("Passed", ref.name, f"Job {ref.name} completed")
            return self._passed
        if _holds(conditions, "Failed"):
            self._attempt = min(self._attempt + 1, ATTEMPTS)
            said = conditions["Failed"]
            return ProbeAnswer(
                "Failed", ref.name, f"Job {ref.name} failed: {said.get('reason')}: {said.get('message')}"
            )
        return ProbeAnswer("Unknown", "running", f"Job {ref.name} is running")

    def _ref(self, attempt: int) -> ObjectRef:
        around = self._around
        identity = digest([around.uid, around.began.isoformat(), self._name, attempt])[:8]
        name = f"{around.rollback.name[:26]}-{self._name[:22]}".replace(".", "-")
        return ObjectRef("batch/v1", "Job", around.namespace, f"{name}-{attempt}-{identity}")

    def _is_ours(self, job: Object) -> bool:
        owners = job["metadata"].get("ownerReferences") or ()
        return any(owner.get("uid") == self._around.uid for owner in owners)

    def _manifest(self, ref: ObjectRef) -> Object:
        """Owned by the Rollback, so that it goes with the record and not before."""
        rollback = self._around.rollback
        return {
            "apiVersion": ref.api_version,
            "kind": ref.kind,
            "metadata": {
                "name": ref.name,
                "annotations": {ANNOTATION_ROLLBACK: rollback.name},
                "ownerReferences": [
                    {
                        "apiVersion": API_VERSION,
                        "kind": rollback.kind,
                        "name": rollback.name,
                        "uid": self._around.uid,
                    }
                ],
            },
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": max(1, self._probe.timeout // timedelta(seconds=1)),
                "template": inside(self._probe.template, self._around.version),
            },
        }


def _holds(conditions: Mapping[str, Mapping[str, Any]], type_: str) -> bool:
    return conditions.get(type_, {}).get("status") == "True"
