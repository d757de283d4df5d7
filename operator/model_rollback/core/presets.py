"""A policy as it is judged: its spec with every preset looked up and every query checked."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.breach import check_recovery
from model_rollback.api.v1alpha1.rollback_policy import RollbackPolicySpec
from model_rollback.api.v1alpha1.trigger import Trigger, TriggerSpec
from model_rollback.core.promql import find_fault
from model_rollback.presets import TriggerPreset, trigger_presets

FIRING_ALERTS: Final = 'ALERTS{alertstate="firing"}'
"""One series, of value 1, for each alert that fires."""


class Policy(RollbackPolicySpec):
    """The spec of a RollbackPolicy of which nothing is left to be looked up."""

    triggers: list[Trigger]  # type: ignore[assignment] # narrower, and nothing is ever appended: models are frozen


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with what a trigger or a metric probe measures.

    Attributes:
        trigger: its name; empty for a probe. path: below `spec`, e.g. `("triggers", 0, "preset")`.
        mend: how to mend it; may be empty.
    """

    trigger: str
    path: tuple[str | int, ...]
    message: str
    mend: str = ""

    def __str__(self) -> str:
        where = ".".join(str(part) for part in ("spec", *self.path))
        of = f"trigger {self.trigger!r}: " if self.trigger else ""
        return f"{of}{where} {self.message}{f'; {self.mend}' if self.mend else ''}"


def resolve_policy(spec: RollbackPolicySpec) -> Policy:
    """`spec` with its triggers resolved.

    Raises:
        ValueError: the first of `problems_of`.
    """
    for problem in problems_of(spec):
        raise ValueError(str(problem))
    triggers = [resolve_trigger(trigger) for trigger in spec.triggers]
    return Policy.model_construct(spec.model_fields_set, **{**spec.__dict__, "triggers": triggers})


def problems_of(spec: RollbackPolicySpec) -> Iterator[Problem]:
    """Unknown presets, presets that do not say what is bad, and queries that cannot be asked or judged."""
    for index, trigger in enumerate(spec.triggers):
        for field, message, mend in _problems(trigger):
            yield Problem(trigger.name, ("triggers", index, *field.split(".")), message, mend)
    for index, probe in enumerate(spec.validation.probes):
        fault = find_fault(probe.metric.query) if probe.metric is not None else None
        if fault is not None:
            path = ("validation", "probes", index, "metric", "query")
            yield Problem("", path, f"is not valid PromQL: {fault}")


def _problems(trigger: TriggerSpec) -> Iterator[tuple[str, str, str]]:
    preset = trigger_presets().get(trigger.preset or "")
    if trigger.preset is not None and preset is None:
        closest = _closest(trigger.preset, trigger_presets())
        yield "preset", f"is {trigger.preset!r}, and there is no such preset", closest
    if preset is not None:
        yield from _problems_with_preset(trigger, preset)
    breach = trigger.breach
    queries = {
        "query": trigger.query,
        "traffic.query": trigger.traffic.query if trigger.traffic is not None else None,
        "breach.baseline.query": breach.baseline.query if breach and breach.baseline else None,
    }
    for field, query in queries.items():
        fault = find_fault(query) if query is not None else None
        if fault is not None:
            yield field, f"is not valid PromQL: {fault}", ""


def _problems_with_preset(trigger: TriggerSpec, preset: TriggerPreset) -> Iterator[tuple[str, str, str]]:
    breach = trigger.breach or preset.breach
    if breach is None:
        mend = f"say which values are bad: it measures {preset.measures[0].lower()}{preset.measures[1:]}"
        yield "breach", f"is missing, and preset {preset.name} has no default for it", mend
    elif trigger.recover_at is not None:
        try:
            check_recovery(breach, trigger.recover_at)
        except ValueError as error:
            yield "recoverAt", f"does not fit the preset's breach: {error}", ""
    if trigger.window is not None and preset.window is None:
        yield "window", f"is given, but the query of preset {preset.name} has no range window", "leave it out"


def query_of(trigger: TriggerSpec) -> str:
    """The PromQL that is asked for `trigger`. Raises KeyError for an unknown preset."""
    if trigger.alert is not None:
        return FIRING_ALERTS
    if trigger.preset is None:
        return trigger.query or ""
    preset = trigger_presets()[trigger.preset]
    window = trigger.window or preset.window
    return preset.query.replace("{window}", format_duration(window) if window else "")


def resolve_trigger(trigger: TriggerSpec) -> Trigger:
    """`trigger` as it is judged: what it does not say itself, its preset says. Raises KeyError, see `query_of`.

    An alert is the part of all firing alerts that is its own, so that one request serves all policies of a source.
    """
    preset = trigger_presets()[trigger.preset] if trigger.preset is not None else None
    said = trigger.model_dump(by_alias=False, exclude_unset=True)
    if preset is not None:
        defaults = {"type": preset.type, "breach": preset.breach, "for_": preset.for_}
        said = {**{name: value for name, value in defaults.items() if value is not None}, **said}
    if trigger.alert is not None:
        said["series"] = {**trigger.alert.labels, "alertname": trigger.alert.name}
        said["breach"] = {"operator": "GreaterThan", "threshold": "0"}
    return Trigger.model_validate({**said, "query": query_of(trigger)})


def _closest(name: str, presets: Mapping[str, TriggerPreset]) -> str:
    close = difflib.get_close_matches(name, presets, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(presets))}"
