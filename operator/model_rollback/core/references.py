"""What an object's pods need beside it: the ConfigMaps, Secrets, volumes and accounts that its pod templates name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One object of the same namespace, of core/v1, without which a pod would not start."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def references(obj: Mapping[str, Any]) -> list[Reference]:
    """Every object that a pod of `obj` cannot start without, in order and once. What is optional is left out."""
    return sorted({reference for spec in _pod_specs(obj.get("spec")) for reference in _of_pod(spec)})


def _pod_specs(value: Any) -> Iterator[Mapping[str, Any]]:
    """A pod spec is known by its list of containers, wherever a kind keeps it."""
    if isinstance(value, Mapping):
        containers = value.get("containers")
        if isinstance(containers, list) and all(isinstance(c, Mapping) for c in containers):
            yield value
        for inner in value.values():
            yield from _pod_specs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pod_specs(inner)


def _of_pod(spec: Mapping[str, Any]) -> Iterator[Reference]:
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        yield Reference("ServiceAccount", account)
    for volume in spec.get("volumes") or []:
        yield from _of_volume(volume)
    for key in ("initContainers", "containers"):
        for container in spec.get(key) or []:
            yield from _of_container(container)


_SOURCES: Final = (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"))


def _of_volume(volume: Mapping[str, Any]) -> Iterator[Reference]:
    for field, kind, key in _SOURCES:
        yield from _needed(volume.get(field), kind, key)
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    if claim:
        yield Reference("PersistentVolumeClaim", claim)
    for source in (volume.get("projected") or {}).get("sources") or []:
        for field, kind, _ in _SOURCES:
            yield from _needed(source.get(field), kind, "name")


def _of_container(container: Mapping[str, Any]) -> Iterator[Reference]:
    for source in container.get("envFrom") or []:
        yield from _needed(source.get("configMapRef"), "ConfigMap", "name")
        yield from _needed(source.get("secretRef"), "Secret", "name")
    for variable in container.get("env") or []:
        source = variable.get("valueFrom") or {}
        yield from _needed(source.get("configMapKeyRef"), "ConfigMap", "name")
        yield from _needed(source.get("secretKeyRef"), "Secret", "name")


def _needed(source: Any, kind: str, key: str) -> Sequence[Reference]:
    if not isinstance(source, Mapping) or source.get("optional") is True or not source.get(key):
        return ()
    return (Reference(kind, source[key]),)
