"""Who writes a target from elsewhere: Argo CD, Flux or Helm, known by the marks that they leave on it.

A rollback changes what these hold to be theirs: the next sync or upgrade may bring the bad version back.
Sources: Argo CD's docs on resource tracking, Flux's docs on the labels of Kustomization and HelmRelease, Helm's labels
and annotations of a release, and for objects without such marks the field managers that each of them writes as.
"""

from collections.abc import Mapping
from typing import Any, Final

_MANAGERS: Final[Mapping[str, str]] = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux (kustomize-controller)",
    "helm-controller": "Flux (helm-controller)",
    "helm": "Helm",
}
_LIMIT = 200


def external_manager(obj: Mapping[str, Any]) -> str:
    """In words, e.g. `Argo CD application recommender`; empty when nobody is known to manage the object."""
    metadata: Mapping[str, Any] = obj["metadata"]
    labels: Mapping[str, str] = metadata.get("labels") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    found = (
        _argo(obj, labels, annotations) or _flux(labels) or _helm(labels, annotations) or _by_fields(metadata)
    )
    return found[:_LIMIT]


def _argo(obj: Mapping[str, Any], labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Its tracking annotation is copied onto children by some controllers, so it must name this very object."""
    application, _, tracked = annotations.get("argocd.argoproj.io/tracking-id", "").partition(":")
    if tracked.partition(":")[0].endswith(f"/{obj.get('kind')}") and tracked.endswith(
        f"/{obj['metadata']['name']}"
    ):
        return f"Argo CD application {application}"
    instance = labels.get("argocd.argoproj.io/instance")
    return f"Argo CD application {instance}" if instance else ""


def _flux(labels: Mapping[str, str]) -> str:
    for group, kind in (
        ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ):
        name = labels.get(f"{group}/name")
        if name:
            return f"Flux {kind} {labels.get(f'{group}/namespace', '?')}/{name}"
    return ""


def _helm(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    release = annotations.get("meta.helm.sh/release-name")
    if release and labels.get("app.kubernetes.io/managed-by") == "Helm":
        return f"Helm release {release}"
    return ""


def _by_fields(metadata: Mapping[str, Any]) -> str:
    """A field manager of theirs that owns something of the spec."""
    for entry in metadata.get("managedFields") or ():
        name = _MANAGERS.get(entry.get("manager", ""))
        if name and not entry.get("subresource") and "f:spec" in (entry.get("fieldsV1") or {}):
            return name
    return ""
