"""What a component's target is: its pins and its readiness rule, from a preset or from the component itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from model_rollback.api.v1alpha1.component import Component, StatedField
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.core.paths import PathError, parse
from model_rollback.presets.kinds import (
    PinPreset,
    ReadinessRule,
    TargetKind,
    TargetPreset,
    target_kind,
    target_kinds,
)

_RESTARTS: Final = ("kubectl.kubernetes.io/restartedAt",)
_OURS: Final = ("modelrollback.dev/",)


@dataclass(frozen=True, slots=True)
class TargetType:
    """How one component's target is read and written.

    Attributes:
        pins: with the component's parameters filled in.
        pod_template: path of the pod template; empty when the kind has none.
        paused: the field that says that its own controller rolls nothing out; None when the kind has none.
        confidential: values are kept in a Secret and shown as digests only.
    """

    pins: tuple[PinPreset, ...]
    readiness: ReadinessRule
    pod_template: str = ""
    paused: StatedField | None = None
    confidential: bool = False


def type_of(component: Component) -> TargetType:
    """The target type of a component that `problems` has nothing against.

    Raises:
        KeyError: no preset knows its kind, or its kind has no such preset.
    """
    ref = component.target_ref
    kind = target_kind(ref.api_version, ref.kind)
    return TargetType(
        pins=_pins(component, kind),
        readiness=_readiness(component, kind),
        pod_template=(kind.pod_template or "") if kind else "",
        paused=kind.paused if kind else None,
        confidential=(ref.api_version, ref.kind) == ("v1", "Secret"),
    )


def _readiness(component: Component, kind: TargetKind | None) -> ReadinessRule:
    stated = component.readiness
    if stated is not None:
        return ReadinessRule(conditions=tuple(stated.conditions), fields=tuple(stated.fields))
    return kind.readiness if kind else ReadinessRule()


def _pins(component: Component, kind: TargetKind | None) -> tuple[PinPreset, ...]:
    if component.pins:
        template = kind.pod_template if kind else None
        return tuple(_explicit(p.name, p.path, is_template=p.path == template) for p in component.pins)
    preset = kind.preset(component.preset) if kind else None
    if preset is None:
        raise KeyError(f"{component.target_ref.kind} has no preset {component.preset}")
    return _filled(preset, component.container or "", component.env or "") if preset.needs else preset.pins


def _explicit(name: str, path: str, *, is_template: bool) -> PinPreset:
    if not is_template:
        return PinPreset(name=name, path=path)
    return PinPreset(
        name=name,
        path=path,
        is_pod_template=True,
        declarable=False,
        ignore_annotations=_RESTARTS,
        ignore_annotation_prefixes=_OURS,
    )


@lru_cache(maxsize=4096)
def _filled(preset: TargetPreset, container: str, env: str) -> tuple[PinPreset, ...]:
    paths = [p.path.replace("{container}", container).replace("{env}", env) for p in preset.pins]
    return tuple(p.model_copy(update={"path": path}) for p, path in zip(preset.pins, paths, strict=True))


def problems(spec: ModelDeploymentSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What the schema cannot know because presets are data: where it is in the spec, and what is wrong."""
    is_sound = True
    for index, component in enumerate(spec.components):
        for where, what in _component_problems(component):
            is_sound = False
            yield ("components", index, *where), f"component {component.name!r}: {what}"
    if not is_sound:
        return
    by_name = {c.name: type_of(c).pins for c in spec.components}
    for number, version in enumerate(spec.versions):
        for place, value in enumerate(version.values):
            pins = by_name.get(value.component, ())
            pin = next((p for p in pins if p.name == value.pin), None)
            at = ("versions", number, "values", place)
            if pin is None:
                known = ", ".join(p.name for p in pins if p.declarable) or "none that can be declared"
                yield (
                    at,
                    f"version {version.name!r}: component {value.component!r} has no pin {value.pin!r}; "
                    f"it has {known}",
                )
            elif not pin.declarable:
                yield (
                    at,
                    f"version {version.name!r}: the pin {value.pin!r} of component {value.component!r} is "
                    "recorded from what runs and cannot be declared",
                )


def _component_problems(component: Component) -> Iterator[tuple[tuple[str | int, ...], str]]:
    ref = component.target_ref
    kind = target_kind(ref.api_version, ref.kind)
    if component.pins:
        for index, pin in enumerate(component.pins):
            yield from _path_problems(("pins", index, "path"), pin.path)
    elif kind is None:
        yield (
            ("targetRef",),
            f"no preset knows the kind {ref.kind} of {ref.api_version}{_other_versions(ref.api_version, ref.kind)}; "
            "say in pins where its version lives, and in readiness when it is ready if it lacks the usual conditions",
        )
    else:
        preset = kind.preset(component.preset)
        if preset is None:
            names = ", ".join(p.name for p in kind.presets)
            yield ("preset",), f"a {ref.kind} has no preset {component.preset!r}; it has {names}"
        else:
            yield from _parameter_problems(component, preset)
    for index, field in enumerate(component.readiness.fields if component.readiness else ()):
        yield from _path_problems(("readiness", "fields", index, "path"), field.path)


def _other_versions(api_version: str, kind: str) -> str:
    group = api_version.rpartition("/")[0]
    others = [v for v, k in target_kinds() if k == kind and v.rpartition("/")[0] == group]
    return f" (one knows {', '.join(others)})" if others else ""


def _parameter_problems(component: Component, preset: TargetPreset) -> Iterator[tuple[tuple[str, ...], str]]:
    given = {"container": component.container, "env": component.env}
    for name, value in given.items():
        if name in preset.needs and value is None:
            yield (name,), f"preset {preset.name} needs {name}"
        elif name not in preset.needs and value is not None:
            yield (name,), f"preset {preset.name} takes no {name}"


def _path_problems(where: tuple[str | int, ...], path: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
    try:
        parse(path)
    except PathError as error:
        yield where, str(error)
