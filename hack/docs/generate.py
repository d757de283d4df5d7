#!/usr/bin/env python3
"""Write the pages of `docs/reference` that follow from the code; `--check` only says whether they are up to date.

A page is a function that returns its text. What it lists comes from the tables that the operator itself runs on.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin

import plugin  # beside this script
import safety
from prometheus_client.metrics_core import Metric
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from model_rollback import telemetry
from model_rollback.api.types import format_duration
from model_rollback.core.events import EVENTS
from model_rollback.core.gates import GATES
from model_rollback.core.machine import TRANSITIONS, Phase
from model_rollback.core.outcome import OUTCOMES
from model_rollback.presets import TriggerPreset, exporters
from model_rollback.presets.kinds import ReadinessRule, target_kinds
from model_rollback.settings import Settings

FOLDER: Final = Path("docs/reference")
HEADER: Final = "<!-- Generated from the code by hack/docs/generate.py: change the code, then run it. -->\n\n"
CONDITIONS: Final = ("Planned", "Reverted", "Validated", "Halted", "Complete")


def table(*rows: tuple[str, ...]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = rows
    lines = [head, ("---",) * len(head), *body]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def rollback_states() -> str:
    """The diagram of the state machine, from `core.machine.TRANSITIONS`."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for (phase, cause), afters in TRANSITIONS.items():
        for after in sorted(afters):
            words = cause.value.replace(":", "")  # Mermaid ends a label at a second colon
            arrows.setdefault((phase, after), []).append(words)
    lines = [
        f"    {phase.value} --> {after.value}: {' / '.join(causes)}\n"
        for (phase, after), causes in sorted(arrows.items())
    ]
    return f"""# The states of a Rollback

A Rollback's state is not stored: it follows from its status, so that an operator which starts anew finds itself where
the old one stood. The table behind this diagram is `TRANSITIONS` in `operator/model_rollback/core/machine/table.py`;
whatever it does not list raises and changes nothing.

```mermaid
stateDiagram-v2
    [*] --> {Phase.REQUESTED.value}
{"".join(lines)}    {Phase.FINISHED.value} --> [*]
```

{Phase.HALTED.value} keeps the lock until a person says Resume or Abort (`spec.intent`); nothing else leads out of it.
{Phase.VALIDATING.value} leads back to {Phase.PREFLIGHT.value} for the next target of the plan, each at most once.
Of what is finished, only a Rollback that succeeded can be moved again, by Undo. An intent that makes no sense where
the Rollback is changes nothing: the condition `IntentAccepted=False` and an Event `IntentRefused` say why.
A step of {Phase.REVERTING.value} leads straight to {Phase.FINISHED.value} only when it shows
that every component was at the target already, not by this Rollback. How a Rollback can end: [results](results.md).
"""


def results() -> str:
    """What each result is called, from `core.outcome.OUTCOMES`, and all Events, from `core.events.EVENTS`."""
    rows: list[tuple[str, ...]] = [
        ("`status.result` and metric label", "meaning", *(f"`{c}`" for c in CONDITIONS), "Event", "type")
    ]
    for result, outcome in OUTCOMES.items():
        rows.append(
            (
                f"`{result}`",
                outcome.meaning,
                *(_statuses(outcome.conditions[c]) for c in CONDITIONS),
                f"`{outcome.reason}`",
                _event_type(EVENTS[outcome.reason].warning),
            )
        )
    objects = ("RollbackPolicy", "ModelDeployment", "Rollback", "target")
    told: list[tuple[str, ...]] = [("Event", "type", "`action`", "meaning", *objects)]
    for reason, event in EVENTS.items():
        marks = tuple("yes" if role in event.on else "" for role in objects)
        told.append((f"`{reason}`", _event_type(event.warning), event.action, event.meaning, *marks))
    return f"""# Results and Events

## How a Rollback ends

The metric is `model_rollback_rollbacks_total{{result="…"}}`. The reason of `Complete` is the Event's.

{table(*rows)}
While it is halted there is no result: `Halted=True`, the lock is kept, and a person says Resume or Abort.

## Which Event goes on which object

Events are `events.k8s.io/v1`, one for each transition. *target* is the workload that a component names.

{table(*told)}
Events expire, on most clusters after an hour. The record is the Rollback.
"""


def _statuses(allowed: frozenset[str]) -> str:
    if {"True", "False"} <= allowed:
        return "as it was"
    return "not True" if "" in allowed else " or ".join(sorted(allowed))


def _event_type(warning: bool) -> str:
    return "Warning" if warning else "Normal"


def gates() -> str:
    """What stands between a breach and a rollback, from `core.gates.GATES`."""
    rows = [("", "reason of `Armed=False`", "meaning")]
    for number, gate in enumerate(GATES, 1):
        reason = "".join(word.capitalize() for word in gate.__name__.split("_"))
        rows.append((str(number), f"`{reason}`", gate.__doc__ or ""))
    return f"""# Gates

Between a breach and a rollback stand these gates, in this order. The first one that blocks is the reason of the
policy's condition `Armed=False`. `Armed` is kept up to date all the time, not only during a breach (within a few
minutes where nothing but time has passed): so it can be seen today that a breach tomorrow would find no target. A
breach is always judged by all gates as they are at that moment.

How to set them: [say when and to what it may roll back](../how-to/limit-rollbacks.md).

{table(*rows)}
When all pass, `Armed=True`, and its message names the version that a breach would put back now.
"""


def settings() -> str:
    """The operator's own settings, from `settings.Settings`."""
    rows = [("configuration file", "environment", "value", "default")]
    rows += [
        (f"`{key}`", f"`{variable}`" if variable else "", kind, value)
        for key, variable, kind, value in _fields(Settings)
    ]
    return f"""# Settings

What `python -m model_rollback` reads once, when it starts: flags (`--config`, `--kubeconfig`) over the environment over
the configuration file (YAML) that `--config` names. What is unknown or wrong ends it with a message that says which
setting and why. Durations are written as in policies, e.g. `5s`.

{table(*rows)}
`metricsSources` maps the names that policies use in `metricsSource` to Prometheus servers; in the environment it is one
JSON object. `concurrentRollbacks` bounds how many Rollbacks are begun or moved towards their patch at the same moment;
in a storm the others stand in line. A Rollback that waits for pods, probes or people is not counted.
"""


def metrics() -> str:
    """What `/metrics` serves, from `telemetry.REGISTRY`."""
    rows = [("metric", "type", "labels", "meaning")]
    telemetry.COUNTED.take = lambda: telemetry.Census({}, {})
    for collector in telemetry.REGISTRY._collector_to_names:
        for family in collector.describe():
            labels = getattr(collector, "_labelnames", ()) or family_labels(family)
            name = family.name + ("_total" if family.type == "counter" else "")
            shown = ", ".join(f"`{label}`" for label in labels)
            rows.append((f"`{name}`", family.type, shown, family.documentation))
    return f"""# The operator's own metrics

Served at `/metrics` on `http.port`. Names of states, reasons and results are those of conditions and Events. Alerts on
these metrics, each with what to do: [runbooks](../runbooks/README.md).

{table(*sorted(rows[:1]), *sorted(rows[1:]))}"""


def family_labels(family: Metric) -> tuple[str, ...]:
    """The labels of a family that is made when it is scraped."""
    return tuple(getattr(family, "_labelnames", ()))


def presets() -> str:
    """The queries that a trigger may name, from `presets/triggers/*.yaml`."""
    text = """# Trigger presets

A trigger may name one of these queries instead of writing one:

```yaml
triggers:
- name: p95
  preset: KServeLatencyP95
  series: {model_name: recommender}
  breach: {operator: GreaterThan, threshold: "0.4"}
```

All policies that name a preset share one request: its answer has a series for every model, and `series` says which is
meant. Name as many of the labels below as it takes, `namespace` among them where two namespaces serve models of one
name. What the trigger itself says wins over the preset's defaults (`window`, `for`, `breach`). The query that is
really asked stands in a Rollback's evidence and in its `status.procedure`.
"""
    for exporter in exporters():
        text += f"\n## {exporter.exporter}\n\n{exporter.about}\nSource: {exporter.source}\n"
        for preset in exporter.presets:
            text += f"\n### {preset.name}\n\n{preset.measures}\n\n{_preset_facts(preset)}\n"
            text += f"```promql\n{preset.query}\n```\n\n{preset.versions}\n"
    return text


def target_kinds_page() -> str:
    """The kinds of `presets/targets/*.yaml`: where their version lives and when they are ready."""
    text = """# Target kinds

What a component's `targetRef` may name without `pins`. The first preset of a kind is its default. Other kinds:
[Add a target kind](../how-to/add-a-target-kind.md).
"""
    for kind in sorted(target_kinds().values(), key=lambda k: (k.api_version, k.kind)):
        text += f"\n## {kind.kind} ({kind.api_version})\n\n{_ready_when(kind.readiness)}"
        if kind.paused is not None:
            text += f"Gate `TargetPaused`: `{kind.paused.path}` is `{kind.paused.equals}`.\n"
        rows = [
            (
                f"`{preset.name}`",
                ", ".join(f"`{need}`" for need in preset.needs) or "-",
                f"`{pin.name}`" + (" (may be absent)" if pin.optional else ""),
                f"`{pin.path}`".replace("|", "\\|"),
                "yes" if pin.declarable and kind.kind != "Secret" else "recorded only",
            )
            for preset in kind.presets
            for pin in preset.pins
        ]
        text += "\n" + table(("preset", "needs", "pin", "path", "in `spec.versions`"), *rows)
    return text


_RULES: Final = {
    "KStatus": "`observedGeneration` has caught up; not `Reconciling`, not `Stalled`; `Ready` where there is one",
    "Deployment": "the new pods are there, alone and available; failed when the progress deadline is exceeded",
    "StatefulSet": "every pod is of the update revision and available, whatever the partition says",
    "DaemonSet": "every scheduled pod is updated and available",
    "AtOnce": "as soon as it is written, and the workloads in `restart` are rolled out",
}


def _ready_when(rule: ReadinessRule) -> str:
    stated = [f"condition `{c.type}` is `{c.status}`" for c in rule.conditions]
    stated += [f"`{f.path}` is `{f.equals}`" for f in rule.fields]
    if stated:
        stated.insert(0, "`observedGeneration` has caught up")
    text = f"Ready: {', '.join(stated) or _RULES[rule.rule]}.\n"
    failed = [f"condition `{c.type}` is `{c.status}`" for c in rule.failed.conditions]
    failed += [f"`{f.path}` is `{f.equals}`" for f in rule.failed.fields]
    return text + (f"Failed: {' or '.join(failed)}.\n" if failed else "")


def _preset_facts(preset: TriggerPreset) -> str:
    breach = f"`{preset.breach.operator} {preset.breach.threshold}`" if preset.breach else "must be given"
    return table(
        ("type", "unit", "labels for `series`", "`window`", "`for`", "`breach`"),
        (
            preset.type,
            preset.unit,
            ", ".join(f"`{label}`" for label in preset.series),
            f"`{format_duration(preset.window)}`" if preset.window else "none",
            f"`{format_duration(preset.for_ or timedelta(0))}`",
            breach,
        ),
    )


def _fields(
    model: type[BaseModel], path: tuple[str, ...] = (), *, keyed: bool = False
) -> Iterator[tuple[str, str, str, str]]:
    """File key, variable, type and default of each setting; inside of a map no variable reaches one value."""
    for name, field in model.model_fields.items():
        here = (*path, name)
        annotation = _given(field.annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _fields(annotation, here, keyed=keyed)
            continue
        item = get_args(annotation)[-1] if get_origin(annotation) is Mapping or _is_map(annotation) else None
        key = ".".join(part if part.startswith("<") else to_camel(part) for part in here)
        variable = "" if keyed else f"MODEL_ROLLBACK_{'__'.join(here).upper()}"
        default = "required" if field.is_required() else _show(field.get_default(call_default_factory=True))
        yield key, variable, _kind(annotation), default
        if isinstance(item, type) and issubclass(item, BaseModel):
            yield from _fields(item, (*here, "<name>"), keyed=True)


def _given(annotation: Any) -> Any:
    """A group of settings that may be left out is listed like one that may not."""
    choices = [a for a in get_args(annotation) if a is not type(None)]
    is_group = len(choices) == 1 and isinstance(choices[0], type) and issubclass(choices[0], BaseModel)
    return choices[0] if is_group and type(None) in get_args(annotation) else annotation


def _is_map(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _kind(annotation: Any) -> str:
    choices = get_args(annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return " or ".join(f"`{choice}`" for choice in choices)
    if _is_map(annotation):
        return "map"
    if get_origin(annotation) is tuple:
        return "list"
    names = [getattr(a, "__name__", str(a)) for a in (choices or (annotation,)) if a is not type(None)]
    words = {"str": "text", "int": "number", "AnyHttpUrl": "URL", "Path": "path", "timedelta": "duration"}
    return words.get(names[0], names[0])


def _show(value: Any) -> str:
    if value is None or value in ("", (), {}):
        return ""
    text = f"{value.total_seconds():g}s" if hasattr(value, "total_seconds") else str(value)
    return f"`{text}`"


PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "rollback-states.md": rollback_states,
        "results.md": results,
        "gates.md": gates,
        "settings.md": settings,
        "metrics.md": metrics,
        "presets.md": presets,
        "target-kinds.md": target_kinds_page,
        "kubectl-rollback.md": lambda: plugin.commands(table),
        "../explanation/safety.md": lambda: safety.page(table),
        "policy-tests.md": lambda: plugin.policy_tests(table),
    }
)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: written, or with `--check` all as it should be; 1: a page differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 with a diff when a page differs"
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the checkout (default: this folder)")
    options = parser.parse_args(arguments)
    different = 0
    for name, page in PAGES.items():
        path = options.root / FOLDER / name
        text = HEADER + page()
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if options.check and old != text:
            different += 1
            lines = difflib.unified_diff(
                old.splitlines(True), text.splitlines(True), f"{path} (is)", f"{path} (code)"
            )
            sys.stdout.writelines(lines)
        elif old != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if different:
        sys.stderr.write("Pages are not what the code says. Run: uv run python hack/docs/generate.py\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
