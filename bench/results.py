"""What was measured, kept in results.json, shown in RESULTS.md, and held against rangespec.yaml."""

import json
import math
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
Results = dict[str, dict[str, Any]]
_RANGESPEC = """\
# Medians as multiples of the machine's own floors, measured in the same run: for `latency` one instant query plus one
# JSON Patch, for `storm` the rate of the same writes without an operator over the storm's. `make bench` fails when one
# gets 20 % worse.
# Written by `make bench ARGS=--accept` from results.json; RESULTS.md says with which load it was measured.
"""


def load() -> Results:
    """Section → name → figures of the newest run of that name."""
    path = FOLDER / "results.json"
    known: Results = json.loads(path.read_text()) if path.exists() else {}
    return known


def keep(section: str, name: str, figures: dict[str, Any]) -> Results:
    """Adds one run, or replaces the one of that name, and writes both files."""
    results = load()
    results.setdefault(section, {})[name] = figures
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    (FOLDER / "RESULTS.md").write_text(render(results))
    return results


def ratios(results: Results) -> dict[str, float]:
    """Medians over the machine's own floors: what a faster or busier machine changes least."""
    found = {}
    for name, run in results.get("latency", {}).items():
        floor = statistics.median(run["query"]) + statistics.median(run["patch"])
        found[f"latency {name}"] = statistics.median(run["trials"]) / floor
    for name, run in results.get("storm", {}).items():
        found[f"storm {name}"] = run["recorded_rate"] / run["rate"]
    return found


def too_slow(results: Results, spec: Path = FOLDER / "rangespec.yaml") -> list[str]:
    """What is more than 20 % beyond its ratio in the rangespec."""
    wanted: dict[str, float] = yaml.safe_load(spec.read_text())["ratios"]
    return [
        f"{name}: {ratio:.1f} times its floor, {wanted[name]:.1f} expected"
        for name, ratio in ratios(results).items()
        if name in wanted and ratio > 1.2 * wanted[name]
    ]


def accept(results: Results, spec: Path = FOLDER / "rangespec.yaml") -> None:
    """Takes what was measured as what is to be held from now on."""
    text = yaml.safe_dump({"ratios": {name: round(ratio, 1) for name, ratio in ratios(results).items()}})
    spec.write_text(_RANGESPEC + text)


def render(results: Results) -> str:
    """Markdown."""
    parts = [
        "# Results\n",
        f"One machine with {os.cpu_count()} cores that everything shares: API server, etcd, Prometheus, the operator "
        "and the bench itself. `load`: the machine's one-minute load at the end of the run; above the number of cores, "
        "waiting for a core is part of every time. How it is measured: the docstrings in this folder.\n",
        _latency(results.get("latency", {})),
        _storm(results.get("storm", {})),
        _scale(results.get("scale", {})),
    ]
    return "\n".join(part for part in parts if part)


def _latency(runs: dict[str, Any]) -> str:
    if not runs:
        return ""
    rows = []
    for name, run in sorted(runs.items(), key=lambda item: item[1]["armed"]):
        rows.append([f"{name}: sample visible → patched", *_spread(run["trials"]), run["load"]])
        rows.append([f"{name}: floor, one instant query", *_spread(run["query"]), run["load"]])
        rows.append([f"{name}: floor, one JSON Patch", *_spread(run["patch"]), run["load"]])
    head = ["milliseconds", "n", "p50", "p90", "p99", "max", "load"]
    return f"## From breach to patch\n\n{_table(head, rows)}"


def _spread(seconds: Sequence[float]) -> list[float]:
    return [len(seconds), *(1000 * quantile(seconds, q) for q in (0.5, 0.9, 0.99, 1.0))]


def _storm(runs: dict[str, Any]) -> str:
    if not runs:
        return ""
    head = [
        "policies at once",
        "patches/s",
        "raw patches/s",
        "share",
        "writes up to a patch",
        "systems/s of these writes alone",
        "share",
        "s until half patched",
        "s until all patched",
        "requests for each",
        "load",
    ]
    rows = [
        [
            run["policies"],
            run["rate"],
            run["raw_rate"],
            _share(run["rate"], run["raw_rate"]),
            run["writes"],
            run["recorded_rate"],
            _share(run["rate"], run["recorded_rate"]),
            run["half_patched"],
            run["all_patched"],
            run["requests"],
            run["load"],
        ]
        for _, run in sorted(runs.items())
    ]
    return f"## A storm, brake off\n\n{_table(head, rows)}"


def _share(rate: float, floor: float) -> str:
    return f"{100 * rate / floor:.0f} %"


def _scale(runs: dict[str, Any]) -> str:
    if not runs:
        return ""
    words = {
        "policies": "policies",
        "texts": "texts",
        "interval": "interval",
        "first": "s to all evaluated, first start",
        "written": "s to all written",
        "writes": "requests for that",
        "breach": "s to answer a breach meanwhile",
        "again": "s to all evaluated, restart",
        "again_cpu": "of these s of CPU",
        "rss": "RSS MiB",
        "peak": "peak MiB",
        "cpu": "idle CPU %",
        "lag": "loop lag p99.9 ms",
        "tick": "tick ms",
        "per_tick": "queries per tick",
        "skipped": "ticks skipped",
        "asked": "API requests",
        "load": "load",
    }
    rows = [[run.get(key, "-") for key in words] for _, run in sorted(runs.items())]
    return f"## Fleets at rest\n\n{_table(list(words.values()), rows)}"


def quantile(values: Sequence[float], q: float) -> float:
    """The nearest-rank quantile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(c) for c in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"
    return str(value)
