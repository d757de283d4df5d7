"""What a pod that a policy brings along may not do: reach the host, raise its rights, or read Secrets.

Whoever may write a policy makes the operator create this pod, so it gets no more than its author could see anyway.
Admission of the namespace (Pod Security, quotas) holds on top.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_SIZE: Final = 16 * 1024
_VOLUMES: Final = frozenset({"name", "configMap", "emptyDir", "downwardAPI", "persistentVolumeClaim"})
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC")
_NO_SECRETS: Final = "a probe's pod reads no Secrets; ask a Service that has them by an http probe instead"
_FOREIGN: Final = ("nodeName", "priorityClassName", "priority", "ephemeralContainers", "resourceClaims")


def check_pod_template(template: Mapping[str, Any]) -> None:
    """Raises ValueError naming the first field that is refused, and what is missing."""
    if len(json.dumps(template, default=str)) > _SIZE:
        raise ValueError(f"template: more than {_SIZE} bytes")
    unknown = set(template) - {"metadata", "spec"}
    if unknown:
        raise ValueError(f"template: unknown field {min(unknown)!r}; a pod template has metadata and spec")
    metadata = _map(template.get("metadata", {}), "template.metadata")
    if set(metadata) - {"labels", "annotations"}:
        raise ValueError("template.metadata: only labels and annotations are taken")
    spec = _map(template.get("spec"), "template.spec")
    if not spec.get("containers"):
        raise ValueError("template.spec.containers: at least one container, with name and image")
    for where, why in _refusals(spec):
        raise ValueError(f"template.spec.{where}: {why}")


def _refusals(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((key, "a probe's pod gets no access to the host") for key in _HOST if spec.get(key))
    yield from ((key, "not for a probe's pod") for key in _FOREIGN if spec.get(key))
    yield from _of_identity(spec)
    if spec.get("restartPolicy") not in (None, "Never"):
        yield "restartPolicy", "a probe's pod is not restarted: leave it out or write Never"
    for i, volume in enumerate(_list(spec.get("volumes"), "volumes")):
        yield from _of_volume(volume, f"volumes[{i}]")
    for kind in ("containers", "initContainers"):
        for i, container in enumerate(_list(spec.get(kind), kind)):
            yield from _of_container(container, f"{kind}[{i}]")


def _of_identity(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("serviceAccountName", "serviceAccount"):
        if spec.get(key) not in (None, "", "default"):
            yield key, "a probe's pod runs as the service account default, without a token"
    if spec.get("automountServiceAccountToken"):
        yield "automountServiceAccountToken", "a probe's pod gets no token"


def _of_volume(volume: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    for kind in sorted(set(volume) - _VOLUMES):
        allowed = ", ".join(sorted(_VOLUMES - {"name"}))
        yield f"{where}.{kind}", f"a probe's pod may mount {allowed} only"
    if volume.get("persistentVolumeClaim") and volume["persistentVolumeClaim"].get("readOnly") is not True:
        yield f"{where}.persistentVolumeClaim", "write readOnly: true; a probe changes nothing"


def _of_container(container: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    if not container.get("name") or not container.get("image"):
        yield where, "a container has a name and an image"
    yield from _of_privileges(container, where)
    for i, port in enumerate(_list(container.get("ports"), f"{where}.ports")):
        if port.get("hostPort"):
            yield f"{where}.ports[{i}].hostPort", "a probe's pod gets no access to the host"
    for i, variable in enumerate(_list(container.get("env"), f"{where}.env")):
        if "secretKeyRef" in (variable.get("valueFrom") or {}):
            yield f"{where}.env[{i}].valueFrom.secretKeyRef", _NO_SECRETS
    for i, source in enumerate(_list(container.get("envFrom"), f"{where}.envFrom")):
        if source.get("secretRef"):
            yield f"{where}.envFrom[{i}].secretRef", _NO_SECRETS


def _of_privileges(container: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    security = _map(container.get("securityContext") or {}, f"{where}.securityContext")
    capabilities = _map(security.get("capabilities") or {}, f"{where}.securityContext.capabilities")
    given = {key: security.get(key) for key in ("privileged", "allowPrivilegeEscalation", "procMount")}
    for key, value in {**given, "capabilities.add": capabilities.get("add")}.items():
        if value:
            yield f"{where}.securityContext.{key}", "a probe's pod gets no privileges"
    if container.get("volumeDevices"):
        yield f"{where}.volumeDevices", "a probe's pod gets no devices"


def _map(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: a map is needed")
    return value


def _list(value: Any, where: str) -> Sequence[Mapping[str, Any]]:
    value = value or []
    if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
        raise ValueError(f"template.spec.{where}: a list of maps is needed")
    return value
