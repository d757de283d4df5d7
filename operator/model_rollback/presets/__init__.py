"""Target kinds and queries as data.

A new kind is a new file in `targets/`, see `kinds`. A new exporter is a new file in `triggers/`: what its metrics are
called, and how they are asked for.
"""

from functools import cache
from importlib.resources import files
from typing import Annotated, Self

import yaml
from pydantic import Field, model_validator

from model_rollback.api.types import ApiModel, Duration, Window
from model_rollback.api.v1alpha1.breach import Breach
from model_rollback.api.v1alpha1.trigger import TriggerType


class TriggerPreset(ApiModel):
    """A query for many policies: one request answers for all their models, and `series` picks each one's own.

    Attributes:
        measures: what its value is, in one sentence. unit: of the value.
        series: the labels of its answer that tell one model from another.
        query: PromQL; `{window}` stands for the range window. Old names of a renamed metric follow with `or`.
        window: its default. Without one the query has none.
        for_, breach: defaults for the trigger.
        versions: which versions of the exporter have it, and what there is to know about it.
    """

    name: str
    type: TriggerType
    measures: str
    unit: str
    series: tuple[str, ...]
    query: str
    window: Window | None = None
    for_: Annotated[Duration | None, Field(alias="for")] = None
    breach: Breach | None = None
    versions: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        if ("{window}" in self.query) != (self.window is not None):
            raise ValueError(f"preset {self.name}: give a window exactly when the query has {{window}} in it")
        return self


class ExporterPresets(ApiModel):
    """The presets for the metrics of one exporter. `source`: where its metrics are described."""

    exporter: str
    about: str
    source: str
    presets: tuple[TriggerPreset, ...]


@cache
def exporters() -> tuple[ExporterPresets, ...]:
    """All shipped trigger presets, by exporter."""
    folder = files(__package__).joinpath("triggers")
    return tuple(
        ExporterPresets.model_validate(yaml.safe_load(entry.read_text(encoding="utf-8")))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    )


@cache
def trigger_presets() -> dict[str, TriggerPreset]:
    """All shipped trigger presets by name."""
    return {preset.name: preset for exporter in exporters() for preset in exporter.presets}
