"""Target kinds as data: which part of an object is the version, and when it is rolled out.

One file in `targets/` for each kind; a new kind is a new file. `pod_template.yaml` holds the presets that every kind
with a pod template has.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from model_rollback.api.types import ApiModel
from model_rollback.api.v1alpha1.component import StatedCondition, StatedField

Parameter = Literal["container", "env"]
Rule = Literal["KStatus", "Deployment", "StatefulSet", "DaemonSet", "AtOnce"]


class PresetError(ValueError):
    """A file with target kinds cannot be used; the message names the file and what is wrong in it."""


class PinPreset(ApiModel):
    """One pin: a path into the object, and what in it does not make a new version.

    Attributes:
        optional: the last key of the path may be absent, which is a value of its own (null).
        is_pod_template: creation time and the ignored annotations are no part of the version.
        declarable: whether a person can write its value into `spec.versions`; large ones are recorded only.
    """

    name: str
    path: str
    optional: bool = False
    is_pod_template: bool = False
    declarable: bool = True
    ignore_annotations: Annotated[
        tuple[str, ...], Field(description="Annotation keys of a pod template to leave out.")
    ] = ()
    ignore_annotation_prefixes: tuple[str, ...] = ()


class TargetPreset(ApiModel):
    """Where the version lives in a kind of target.

    `{container}` and `{env}` in a path are the component's; `{podTemplate}` is where the kind has its pod template.
    """

    name: str
    needs: tuple[Parameter, ...] = ()
    pins: Annotated[tuple[PinPreset, ...], Field(min_length=1)]


class Failure(ApiModel):
    """The kind's own controller says that it has given up: one of the conditions or fields holds.

    Attributes:
        message_path: where it says why.
        time_path: where it says since when; a verdict older than a write does not speak of that write.
    """

    conditions: tuple[StatedCondition, ...] = ()
    fields: tuple[StatedField, ...] = ()
    message_path: str = ""
    time_path: str = ""


class ReadinessRule(ApiModel):
    """When the newest spec is rolled out: what is stated in conditions and fields, or else a rule by name.

    `KStatus`: `observedGeneration` has caught up, `Reconciling` and `Stalled` are not True, and `Ready` is True where
    there is such a condition. `AtOnce`: the object is what it says. The others know the counters of workloads.
    """

    rule: Rule = "KStatus"
    conditions: tuple[StatedCondition, ...] = ()
    fields: tuple[StatedField, ...] = ()
    failed: Failure = Failure()


class TargetKind(ApiModel):
    """A kind of target as its file describes it; the first preset is the default."""

    api_version: str
    kind: str
    resource: str
    pod_template: str | None = None
    paused: StatedField | None = None
    readiness: ReadinessRule = ReadinessRule()
    presets: tuple[TargetPreset, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.presets and self.pod_template is None:
            raise ValueError(f"kind {self.kind} has neither presets nor a podTemplate")
        return self

    def preset(self, name: str | None) -> TargetPreset | None:
        """The preset of that name, or the default one."""
        return next((p for p in self.presets if name in (None, p.name)), None)


TargetKinds = dict[tuple[str, str], TargetKind]
"""By apiVersion and kind."""

_EXTRA: Final[TargetKinds] = {}


def target_kinds() -> TargetKinds:
    """All target kinds that are known: the shipped ones, and those that `add_folder` brought."""
    return {**_shipped(), **_EXTRA}


def target_kind(api_version: str, kind: str) -> TargetKind | None:
    """One of `target_kinds`."""
    return _EXTRA.get((api_version, kind)) or _shipped().get((api_version, kind))


def add_folder(folder: Path) -> list[TargetKind]:
    """Makes the kinds known that the YAML files of a folder describe; they win over shipped ones.

    Raises:
        PresetError: a file cannot be read or does not describe a kind.
        OSError: there is no such folder.
    """
    added = [
        _read(entry.name, entry.read_text(encoding="utf-8"))
        for entry in sorted(folder.iterdir())
        if entry.suffix == ".yaml"
    ]
    _EXTRA.update({(k.api_version, k.kind): k for k in added})
    return added


@cache
def _shipped() -> TargetKinds:
    folder = files(__package__).joinpath("targets")
    kinds = [
        _read(entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    ]
    return {(k.api_version, k.kind): k for k in kinds}


@cache
def _pod_presets() -> tuple[TargetPreset, ...]:
    text = files(__package__).joinpath("pod_template.yaml").read_text(encoding="utf-8")
    return tuple(TargetPreset.model_validate(p) for p in yaml.safe_load(text))


def _read(name: str, text: str) -> TargetKind:
    try:
        kind = TargetKind.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PresetError(f"{name}: {where}: {first['msg']}") from error
    except yaml.YAMLError as error:
        raise PresetError(f"{name} is not YAML: {error}") from error
    return kind.model_copy(update={"presets": (*kind.presets, *_of_pod_template(kind))})


def _of_pod_template(kind: TargetKind) -> Iterator[TargetPreset]:
    names = {p.name for p in kind.presets}
    for preset in _pod_presets() if kind.pod_template is not None else ():
        if preset.name not in names:
            pins = [
                p.model_copy(update={"path": p.path.replace("{podTemplate}", str(kind.pod_template))})
                for p in preset.pins
            ]
            yield preset.model_copy(update={"pins": tuple(pins)})
