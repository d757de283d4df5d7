"""Random policies and random series, the same ones in every run."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TICKS = 14
INTERVAL = 15
HISTORY = 600
"""Seconds before the first tick for which there may be samples."""

Point = tuple[float, str]
"""(unix time, value as OTLP's JSON takes it)."""

QUERIES = {
    "quality": ["quality"],
    "max by (model) (quality)": ["quality"],
    "bad / good": ["bad", "good"],
    "avg_over_time(quality[1m])": ["quality"],
    "flaky": ["flaky"],
}
"""Query text → its selectors. A policy of its own asks the same with its label matched in each of them."""


@dataclass(frozen=True)
class Series:
    """One series with its samples."""

    metric: str
    labels: dict[str, str]
    points: list[Point]


@dataclass(frozen=True)
class Story:
    """One trigger, and the series that are its own. `changed_at`: when the live version appeared; None: long ago."""

    model: str
    trigger: dict[str, Any]
    series: list[Series]
    changed_at: float | None
    warm_up: int


def stories(count: int, start: float, seed: int) -> Iterator[Story]:
    """`start`: unix time of the first tick."""
    rng = random.Random(seed)
    for index in range(count):
        yield _story(rng, f"m{index}", start)


def _story(rng: random.Random, model: str, start: float) -> Story:
    text = rng.choice(list(QUERIES))
    trigger: dict[str, Any] = {
        "name": model,
        "query": text,
        "series": {"model": model},
        "breach": _breach(rng, text),
        "for": rng.choice(["0s", "15s", "30s", "45s", "1m"]),
        "consecutive": rng.choice([1, 1, 2, 3]),
        "reduce": rng.choice(["Any", "Any", "All", "Max", "Min", "Avg", "Sum"]),
        "onNoData": rng.choice(["Hold", "Hold", "Breach", "Healthy"]),
        "onError": rng.choice(["Hold", "Hold", "Breach"]),
        "onInfinite": rng.choice(["NoData", "Compare"]),
    }
    if rng.random() < 0.5:
        trigger["maxHold"] = rng.choice(["15s", "30s", "45s", "1m"])
    if rng.random() < 0.4:
        trigger["maxSampleAge"] = rng.choice(["20s", "40s", "1m"])
    if rng.random() < 0.3:
        trigger["traffic"] = {"query": "traffic", "series": {"model": model}, "atLeast": "5"}
    if trigger["breach"]["operator"] == "LessThan" and rng.random() < 0.5:
        trigger["recoverAt"] = "0.93"
    settles = rng.random() < 0.15
    return Story(
        model,
        trigger,
        list(_series(rng, model, text, trigger, start)),
        start - rng.choice([10, 40]) if settles else None,
        rng.choice([30, 60, 90]),
    )


def _breach(rng: random.Random, text: str) -> dict[str, Any]:
    baseline = rng.choice(
        [{"offset": "2m"}, {"query": "champion", "series": {"model": "all"}}]
        if text == "quality"
        else [{"offset": "2m"}]
    )
    return rng.choice(
        [
            {"operator": "LessThan", "threshold": "0.90"},
            {"operator": "LessThan", "threshold": "0.90"},
            {"operator": "GreaterThan", "threshold": "0.96"},
            {"operator": "Outside", "threshold": "0.6..0.98"},
            {"operator": "Inside", "threshold": "0.55..0.94"},
            {"operator": "DropsBy", "threshold": "10%", "baseline": baseline},
            {"operator": "RisesBy", "threshold": "0.1", "baseline": baseline},
        ]
    )


def _series(
    rng: random.Random, model: str, text: str, trigger: dict[str, Any], start: float
) -> Iterator[Series]:
    for metric in QUERIES[text]:
        for pod in ["a", "b"][: rng.choice([1, 1, 2])]:
            constant = "1" if metric == "good" and rng.random() < 0.8 else None
            yield Series(metric, {"model": model, "pod": pod}, _points(rng, start, constant))
    if "traffic" in trigger:
        values = [rng.choice(["1", "4", "8", "9", "NaN"]) for _ in range(4)]
        yield Series("traffic", {"model": model}, _points(rng, start, None, values))


def _points(
    rng: random.Random, start: float, constant: str | None, values: list[str] | None = None
) -> list[Point]:
    """Samples at a steady distance; good and bad ones come in runs, and some series begin late or end early."""
    distance = rng.choice([15, 15, 30, 60])
    first = start - HISTORY + rng.randrange(0, 15_000) / 1000
    if rng.random() < 0.1:
        first = start + rng.choice([35.5, 95.25])
    last = start + TICKS * INTERVAL
    if rng.random() < 0.15:
        last = start - rng.choice([-40, 60, 200, 280, 320])
    good, points, at = True, [], first
    while at <= last:
        if rng.random() < 0.3:
            good = not good
        one = rng.choice(["0.95", "0.97", "1", "0.92"] if good else ["0.5", "0.7", "0.85", "0.7"])
        one = rng.choice(["NaN", "Infinity", "-Infinity", "0"]) if rng.random() < 0.08 else one
        points.append((at, constant or (rng.choice(values) if values else one)))
        at += distance
    return points


def champion(start: float) -> Series:
    """The baseline that is a query of its own."""
    times = range(int(start) - HISTORY, int(start) + TICKS * INTERVAL, 15)
    return Series("champion", {"model": "all"}, [(float(t), "0.9" if (t // 60) % 3 else "0") for t in times])
