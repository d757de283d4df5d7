"""`make bench`: measures on clusters of its own; results.json keeps every figure, RESULTS.md shows them."""

import argparse
import dataclasses
import sys
from typing import Any

from bench import results
from bench.breach import latency, storm
from bench.scale import measure

FLEETS = ((10_000, 1, "5s"), (10_000, 100, "5s"), (10_000, 10_000, "60s"))
PARTS = ("latency", "storm", "scale")


def main() -> int:
    """0; 1 when a median is more than 20 % beyond its ratio in rangespec.yaml."""
    chosen = options().parse_args()
    if chosen.accept:
        results.accept(results.load())
        return 0
    for part in chosen.parts or PARTS:
        if part == "latency":
            for armed in chosen.armed:
                _keep("latency", f"{armed} armed", latency(armed, chosen.trials))
        elif part == "storm":
            _keep("storm", f"{chosen.storm} policies", storm(chosen.storm))
        else:
            for policies, texts, interval in chosen.fleet or FLEETS:
                name = f"{policies} policies, {texts} texts, {interval}"
                # A tick of the first kind at least, nine of the second.
                window = 70.0 if interval == "60s" else 45.0
                _keep("scale", name, measure(policies, texts, interval, window=window))
    measured = results.load()
    print(results.render(measured))
    slow = results.too_slow(measured)
    print("\n".join(slow), file=sys.stderr)
    return 1 if slow else 0


def _keep(section: str, name: str, figures: Any) -> None:
    results.keep(section, name, dataclasses.asdict(figures))


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", type=_part, metavar="PART", help=f"{', '.join(PARTS)}; default: all of them"
    )
    parser.add_argument(
        "--accept", action="store_true", help="measure nothing: hold what results.json says from now on"
    )
    parser.add_argument("--trials", type=int, default=100, help="breaches for each number of armed policies")
    parser.add_argument("--armed", type=int, nargs="+", default=[1, 1_000, 10_000])
    parser.add_argument("--storm", type=int, default=1_000, help="policies that breach at once")
    parser.add_argument(
        "--fleet",
        type=_fleet,
        action="append",
        help="POLICIES/TEXTS/INTERVAL, default 10000/1/5s and two more",
    )
    return parser


def _part(text: str) -> str:
    """Not by `choices`, which refuse that none is named (argparse of Python 3.11)."""
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"there is no {text!r}, only {', '.join(PARTS)}")
    return text


def _fleet(text: str) -> tuple[int, int, str]:
    policies, texts, interval = text.split("/")
    return int(policies), int(texts), interval


if __name__ == "__main__":
    sys.exit(main())
