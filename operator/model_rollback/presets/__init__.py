"""Target kinds as data: which part of an object is the version. A new kind is a new file in `targets/`."""

from functools import cache
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import Field

from model_rollback.api.types import ApiModel


class PinPreset(ApiModel):
    """One pin: a path into the object, and what in it does not make a new version.

    Attributes:
        optional: the last key of the path may be absent, which is a value of its own (null).
        is_pod_template: creation time and the ignored annotations are no part of the version.
    """

    name: str
    path: str
    optional: bool = False
    is_pod_template: bool = False
    ignore_annotations: Annotated[
        tuple[str, ...], Field(description="Annotation keys of a pod template to leave out.")
    ] = ()
    ignore_annotation_prefixes: tuple[str, ...] = ()


class TargetPreset(ApiModel):
    """Where the version lives in a kind of target. `{container}` in a path is the component's `container`."""

    name: str
    kinds: tuple[str, ...]
    pins: tuple[PinPreset, ...]


@cache
def target_presets() -> dict[str, TargetPreset]:
    """All shipped target presets by name."""
    folder = files(__package__).joinpath("targets")
    loaded = [
        TargetPreset.model_validate(yaml.safe_load(entry.read_text(encoding="utf-8")))
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    ]
    return {preset.name: preset for preset in loaded}
