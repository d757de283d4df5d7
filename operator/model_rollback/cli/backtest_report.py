"""How a backtest is told to people."""

from datetime import datetime
from typing import Final

from rich.text import Text

from model_rollback.api.types import format_duration
from model_rollback.cli.backtesting import Backtest, Course, Fire
from model_rollback.cli.console import out, plural

_SHOWN: Final = 50


def show_backtest(name: str, result: Backtest) -> None:
    """The window, each rollback that would have started, what was held back, and each trigger in numbers."""
    console = out()
    window = result.window
    console.print(
        f"policy {name}: {_time(window.first)} to {_time(window.last)}, every {format_duration(window.step)}, "
        f"{plural(window.steps, 'evaluation')}"
    )
    style = "bold red" if result.fires else "green"
    console.print(Text(f"\nwould have rolled back {plural(len(result.fires), 'time')}", style=style))
    for fire in result.fires[:_SHOWN]:
        console.print(f"  {_time(fire.at)}  {fire.reason}")
        console.print(Text(f"      {_story(fire, result)}", style="dim"))
    if len(result.fires) > _SHOWN:
        console.print(f"  … {len(result.fires) - _SHOWN} more: -o json has all of them")
    if result.held:
        console.print(f"\nbreaches that would have started nothing: {len(result.held)}")
    for held in result.held[:_SHOWN]:
        console.print(f"  {_time(held.at)}  {', '.join(held.triggers)}: {held.gate}: {held.why}")
    console.print()
    console.print(_table(result))


def _story(fire: Fire, result: Backtest) -> str:
    after = f"{format_duration(fire.delay)} after the first bad evaluation at {_time(fire.first_bad)}"
    if fire.recovered_at is None:
        return f"{after}; not healthy again before the end"
    return f"{after}; healthy again {format_duration(fire.recovered_at - fire.at)} later, without a rollback"


def _table(result: Backtest) -> str:
    """Columns beside each other, as wide as they must be."""
    states = [s for s in _order(result) if any(c.states[s] for c in result.courses.values())]
    rows = [["trigger", *states, "near misses", "measured from"]]
    for name, course in result.courses.items():
        shares = [_share(course.states[state], course.states.total()) for state in states]
        since = _time(course.measured_from) if course.measured_from is not None else "never"
        rows.append([name, *shares, _misses(course), since])
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _order(result: Backtest) -> list[str]:
    known = ["Healthy", "Pending", "Breached", "NoData", "Stale", "LowTraffic", "Settling", "Error"]
    return known + sorted({s for c in result.courses.values() for s in c.states} - set(known))


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.2f} %" if count else "-"


def _misses(course: Course) -> str:
    if not course.near_misses:
        return "none"
    return f"{course.near_misses}, the longest bad for {format_duration(course.longest_miss)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
