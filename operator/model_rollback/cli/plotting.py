"""Draws a backtest. The only place that needs matplotlib, which comes with the extra `report`."""

from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from model_rollback.api.types import parse_range
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.cli.backtesting import Backtest, Course
from model_rollback.cli.documents import UnusableError
from model_rollback.core.comparison import in_words, is_relative

_BUCKETS: Final = 1500
"""Points drawn for a trigger, two for each bucket of time: its lowest and its highest value."""

_BANDS: Final = {
    "Pending": ("#f2b134", "bad, not for long enough"),
    "Breached": ("#d1495b", "breached"),
    "NoData": ("#c9ccd1", "no data"),
    "Stale": ("#c9ccd1", "no data"),
    "LowTraffic": ("#dfe3e8", "too little traffic"),
    "Settling": ("#dfe3e8", "settling"),
    "Error": ("#8d99ae", "could not be asked"),
}


def require_matplotlib() -> None:
    """Raises UnusableError, before the long work begins, when the extra is not installed."""
    if find_spec("matplotlib") is None:
        raise UnusableError("--plot needs matplotlib: pip install 'model-rollback-operator[report]'")


def plot(result: Backtest, file: Path) -> None:
    """One row for each trigger: its value, its threshold, its states as bands, and each rollback as a line.

    Raises:
        UnusableError: the file cannot be written, or not in the format that its name says.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    triggers = result.policy.triggers
    figure = Figure(figsize=(11, 1.2 + 2.6 * len(triggers)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(triggers), 1, sharex=True, squeeze=False)[:, 0]
    for axes, trigger in zip(rows, triggers, strict=True):
        _draw(axes, trigger, result)
    rows[-1].set_xlim(result.window.first, result.window.last)
    handles = {h.get_label(): h for axes in rows for h in axes.get_legend_handles_labels()[0]}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=6, frameon=False, fontsize=8
    )
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise UnusableError(f"{file}: the plot cannot be written: {error}") from error


def _draw(axes: Any, trigger: Trigger, result: Backtest) -> None:
    course = result.courses.get(trigger.name, Course())
    _bands(axes, course, result.window.last)
    moments, values = _thinned(course, result)
    axes.plot(moments, values, color="#1f4e79", linewidth=0.7, label="value")
    levels = () if is_relative(trigger.breach) else parse_range(trigger.breach.threshold)
    for level in sorted(set(levels)):
        axes.axhline(level, color="#d1495b", linewidth=0.9, linestyle="--", label="threshold")
    for number, fire in enumerate(f for f in result.fires if trigger.name in f.triggers):
        label = "would roll back" if number == 0 else None
        axes.axvline(fire.at, color="black", linewidth=0.6, alpha=0.6)
        axes.plot(
            fire.at, 1.0, "v", color="black", transform=axes.get_xaxis_transform(), clip_on=False, label=label
        )
    axes.set_title(
        f"{trigger.name}: bad when {in_words(trigger.breach)}",
        loc="left",
        fontsize=10,
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _bands(axes: Any, course: Course, end: datetime) -> None:
    for index, (at, state) in enumerate(course.changes):
        until = course.changes[index + 1][0] if index + 1 < len(course.changes) else end
        if state in _BANDS:
            color, label = _BANDS[state]
            axes.axvspan(at, until, color=color, alpha=0.35, linewidth=0, label=label)


def _thinned(course: Course, result: Backtest) -> tuple[list[datetime], list[float]]:
    """At most two values for each bucket of time; NaN breaks the line where there was no value."""
    span = max((result.window.last - result.window.first) / _BUCKETS, result.window.step)
    moments: list[datetime] = []
    values: list[float] = []
    bucket: list[tuple[datetime, float]] = []

    def empty() -> None:
        ends = {min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])}
        for at, value in sorted(ends):
            moments.append(at)
            values.append(value)

    for at, value in course.values:
        if bucket and at - bucket[0][0] >= span:
            empty()
            if at - bucket[-1][0] > 1.5 * span:
                moments.append(bucket[-1][0])
                values.append(float("nan"))
            bucket.clear()
        bucket.append((at, value))
    if bucket:
        empty()
    return moments, values
