"""Jobs that a Rollback runs: what they are called, what is in them, and how far they are."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from model_rollback.api.group import ANNOTATION_ROLLBACK, ANNOTATION_SUSPENDED, API_VERSION

_VERSION: Final = "MODEL_ROLLBACK_VERSION"
_KEPT_FOR: Final = timedelta(hours=1)
"""A Job that its owner's time-to-live would delete sooner could be gone before anybody saw how it ended."""


def job_name(base: str, rollback_uid: str, step: str, repeats: int) -> str:
    """The same step of the same Rollback has the same Job, so that creating it twice is a conflict; a step that a
    person repeats has a new one. At most 63 characters, because the name becomes a label."""
    text = f"{rollback_uid}/{step}/{repeats}"
    return f"{base[:49].rstrip('.-')}-rb-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def from_cron_job(cron_job: Mapping[str, Any], name: str, rollback: str) -> dict[str, Any]:
    """The Job that `kubectl create job --from=cronjob/…` would make."""
    template = cron_job["spec"]["jobTemplate"]
    metadata = template.get("metadata") or {}
    annotations = {
        **(metadata.get("annotations") or {}),
        "cronjob.kubernetes.io/instantiate": "manual",
        ANNOTATION_ROLLBACK: rollback,
    }
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": dict(metadata.get("labels") or {}),
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": _kept(template["spec"]),
    }


def _kept(spec: Mapping[str, Any]) -> dict[str, Any]:
    ttl = spec.get("ttlSecondsAfterFinished")
    if ttl is None:
        return dict(spec)
    return {**spec, "ttlSecondsAfterFinished": max(int(ttl), int(_KEPT_FOR.total_seconds()))}


@dataclass(frozen=True, slots=True)
class JobState:
    """How far a Job is. Neither `complete` nor `failed`: it runs. `message`: in words."""

    complete: bool = False
    failed: bool = False
    message: str = ""


def state_of(job: Mapping[str, Any]) -> JobState:
    """What a Job's own conditions say."""
    status = job.get("status") or {}
    said = {c.get("type"): c for c in status.get("conditions") or [] if c.get("status") == "True"}
    name = job["metadata"]["name"]
    if "Complete" in said:
        return JobState(complete=True, message=f"Job {name} is complete")
    if "Failed" in said:
        why = said["Failed"].get("message") or said["Failed"].get("reason") or "it gave no reason"
        return JobState(failed=True, message=f"Job {name} failed: {why}")
    return JobState(message=f"Job {name} runs: {status.get('active') or 0} pods active")


def is_ours(job: Mapping[str, Any], rollback: str) -> bool:
    """Whether it was made for that Rollback."""
    annotations = job["metadata"].get("annotations") or {}
    return bool(annotations.get(ANNOTATION_ROLLBACK) == rollback)


def is_suspended(job: Mapping[str, Any]) -> bool:
    """Whether its pods are ended, by us or by others; setting `suspend` to false would let it go on."""
    return bool(job["spec"].get("suspend"))


def why_suspended(job: Mapping[str, Any]) -> str:
    """What we gave as the reason; empty when it was not us."""
    return str((job["metadata"].get("annotations") or {}).get(ANNOTATION_SUSPENDED, ""))


def suspension(job: Mapping[str, Any], why: str) -> list[dict[str, Any]]:
    """The JSON Patch that ends the pods of this Job and keeps it, with the reason."""
    annotations = {**(job["metadata"].get("annotations") or {}), ANNOTATION_SUSPENDED: why}
    return [
        {"op": "test", "path": "/metadata/uid", "value": job["metadata"]["uid"]},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
        {"op": "add", "path": "/spec/suspend", "value": True},
    ]


def from_template(
    template: Mapping[str, Any], name: str, rollback: str, uid: str, *, limit: timedelta, version: str
) -> dict[str, Any]:
    """The Job of a step that a policy writes out, owned by the Rollback so that it goes with the record.

    Args:
        limit: how long it may run.
        version: what it is told to be put back.
    """
    owner = {"apiVersion": API_VERSION, "kind": "Rollback", "name": rollback, "uid": uid}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION_ROLLBACK: rollback},
            "ownerReferences": [owner],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": max(1, limit // timedelta(seconds=1)),
            "template": inside(template, version),
        },
    }


def inside(template: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The template as `api.v1alpha1.pod_limits` lets it pass, with what it must be set explicitly."""
    spec = template["spec"]
    told = {"name": _VERSION, "value": version}
    return {
        **template,
        "spec": {
            **spec,
            "containers": [{**c, "env": [told, *(c.get("env") or ())]} for c in spec["containers"]],
            "restartPolicy": "Never",
            "serviceAccountName": "default",
            "automountServiceAccountToken": False,
        },
    }
