"""The semantics once more, written from the page and not from the code: one policy alone, one query for itself.

Nothing of `model_rollback.core` is used here. Two people who implement the page must get the same results.
"""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import requests

from tests.differential.stories import INTERVAL, QUERIES, TICKS, Story

Vector = dict[tuple[tuple[str, str], ...], float]
"""Labels → value at one moment."""

UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    return float(sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)([smh])", text)))


class Asker:
    """Range queries of one policy: what an instant query at each tick would say."""

    def __init__(self, url: str, start: float) -> None:
        self._url, self._start = url, start
        self._session = requests.Session()

    def close(self) -> None:
        self._session.close()

    def ask(self, query: str, back: float = 0) -> list[Vector]:
        begin = self._start - back
        answer = self._session.get(
            f"{self._url}/api/v1/query_range",
            params={
                "query": query,
                "start": repr(begin),
                "end": repr(begin + (TICKS - 1) * INTERVAL),
                "step": str(INTERVAL),
            },
            timeout=60,
        ).json()
        assert answer["status"] == "success", answer
        found: list[Vector] = [{} for _ in range(TICKS)]
        for one in answer["data"]["result"]:
            labels = tuple(sorted((k, v) for k, v in one["metric"].items() if k != "__name__"))
            for at, value in one["values"]:
                found[round((at - begin) / INTERVAL)][labels] = float(value)
        return found


def states(story: Story, asker: Asker, start: float, failing: Mapping[str, set[int]]) -> list[str]:
    """The state at each tick. `failing`: query text → ticks at which it is not answered."""
    t = story.trigger
    mine = f'{{model="{story.model}"}}'

    def own(text: str) -> str:
        return re.sub(r"\b(quality|bad|good|flaky|traffic)\b", rf"\1{mine}", text)

    query = own(t["query"])
    values = asker.ask(query)
    stamps = [asker.ask(f"timestamp({s}{mine})") for s in QUERIES[t["query"]]]
    traffic = asker.ask(own("traffic")) if "traffic" in t else None
    baseline = t["breach"].get("baseline")
    before: list[Vector] | None = None
    if baseline is not None:
        before = (
            asker.ask(query, seconds(baseline["offset"])) if "offset" in baseline else asker.ask("champion")
        )
    clock = _Clock(t)
    said = []
    for i in range(TICKS):
        now = start + i * INTERVAL
        if story.changed_at is not None and now < story.changed_at + story.warm_up:
            said.append("Settling")
            continue
        ages = [max(s[i].values()) if s[i] else None for s in stamps]
        word = _measure(
            t,
            now,
            None if i in failing.get(t["query"], ()) else values[i],
            ages,
            traffic[i] if traffic is not None else None,
            before[i] if before is not None else None,
            failed_baseline=baseline is not None
            and "offset" in baseline
            and i in failing.get(t["query"], ()),
            open_=clock.open,
        )
        said.append(clock.tick(now, word, [a for a in ages if a is not None]))
    return said


def _measure(
    t: dict[str, Any],
    now: float,
    values: Vector | None,
    ages: list[float | None],
    traffic: Vector | None,
    before: Vector | None,
    *,
    failed_baseline: bool,
    open_: bool,
) -> str:
    """good, bad, or why it is not judged: NoData, Stale, LowTraffic, Error."""
    much = _much_traffic(t, traffic)
    if much is False:
        return "LowTraffic"
    if values is None:
        return "Error"
    if much is None:
        return "LowTraffic"
    compare = t["onInfinite"] == "Compare"
    usable = {k: v for k, v in values.items() if math.isfinite(v) or (compare and math.isinf(v))}
    if not usable:
        return "NoData"
    old = _old(t, now, ages)
    if old:
        return old
    one = _reduced(t["reduce"], usable)
    if one is not None and (math.isnan(one) or (math.isinf(one) and not compare)):
        return "NoData"
    if failed_baseline:
        return "Error"
    pairs = _pairs(t["reduce"], usable if one is None else {(): one}, before)
    return _compare(t, pairs, open_=open_) if pairs else "NoData"


def _much_traffic(t: dict[str, Any], traffic: Vector | None) -> bool | None:
    """Whether there is enough; None: it is not known."""
    if traffic is None:
        return True
    finite = [v for v in traffic.values() if math.isfinite(v)]
    return sum(finite) >= float(t["traffic"]["atLeast"]) if finite else None


def _old(t: dict[str, Any], now: float, ages: list[float | None]) -> str:
    if "maxSampleAge" not in t:
        return ""
    if any(a is None for a in ages):
        return "NoData"
    oldest = min(a for a in ages if a is not None)
    return "Stale" if round(now - oldest, 6) > seconds(t["maxSampleAge"]) else ""


def _pairs(how: str, wanted: Vector, before: Vector | None) -> list[tuple[float, float]]:
    """Each value with what it is compared with; without what has no baseline."""
    if before is None:
        return [(v, 0.0) for v in wanted.values()]
    base = {k: v for k, v in before.items() if math.isfinite(v)}
    if base and how not in ("Any", "All"):
        base = {(): _reduced(how, base) or 0.0}
    only = next(iter(base.values())) if len(base) == 1 else 0.0
    pairs = [(v, base.get(labels, only)) for labels, v in wanted.items()]
    return [(v, b) for v, b in pairs if b != 0]


def _compare(t: dict[str, Any], pairs: list[tuple[float, float]], *, open_: bool) -> str:
    enough = all if t["reduce"] == "All" else any
    if enough(_is_bad(t["breach"], v, b) for v, b in pairs):
        return "bad"
    if open_ and "recoverAt" in t and enough(not v > float(t["recoverAt"]) for v, _ in pairs):
        return "bad"
    return "good"


def _reduced(how: str, series: Vector) -> float | None:
    values = list(series.values())
    if how == "Max":
        return max(values)
    if how == "Min":
        return min(values)
    if how in ("Avg", "Sum"):
        total = sum(values)
        return total / len(values) if how == "Avg" else total
    return None


def _is_bad(breach: dict[str, Any], value: float, baseline: float) -> bool:
    threshold = breach["threshold"]
    match breach["operator"]:
        case "LessThan":
            return value < float(threshold)
        case "GreaterThan":
            return value > float(threshold)
        case "Outside":
            low, high = threshold.split("..")
            return value < float(low) or value > float(high)
        case "Inside":
            low, high = threshold.split("..")
            return float(low) <= value <= float(high)
    if math.isinf(value):
        return (value > 0) == (breach["operator"] == "RisesBy")
    was, now = Fraction(str(baseline)), Fraction(str(value))
    change = was - now if breach["operator"] == "DropsBy" else now - was
    if threshold.endswith("%"):
        return change >= Fraction(threshold[:-1]) / 100 * abs(was)
    return change >= Fraction(threshold)


class _Clock:
    """`for`, `consecutive`, holding, and one breach."""

    def __init__(self, t: dict[str, Any]) -> None:
        self._t = t
        self._for = seconds(t["for"])
        self._hold = seconds(t["maxHold"]) if "maxHold" in t else max(5 * INTERVAL, 300)
        self.open = False
        self._begin()

    def _begin(self) -> None:
        self._time = 0.0
        self._count = 0
        self._judged: float | None = None
        self._in_a_row = False
        self._stamps: list[float] = []
        self._state = "Healthy"

    def tick(self, now: float, word: str, stamps: list[float]) -> str:
        if self._judged is not None and now - self._judged > self._hold:
            self.open = False
            self._begin()
        if word in ("NoData", "Stale") and self._t["onNoData"] != "Hold":
            word = "bad" if self._t["onNoData"] == "Breach" else "good"
            stamps = []
        if word == "Error" and self._t["onError"] == "Breach":
            word, stamps = "bad", []
        if word not in ("good", "bad"):
            self._in_a_row = False
            self._last = word
            return word
        if self._count and not self.open and stamps and stamps == self._stamps:
            return self._last
        if word == "good":
            self.open = False
            self._begin()
            self._judged = now
            self._last = "Healthy"
            return "Healthy"
        if self._in_a_row and self._judged is not None:
            self._time += now - self._judged
        self._count += 1
        self._judged, self._in_a_row, self._stamps = now, True, stamps or self._stamps
        if self._time >= self._for and self._count >= self._t["consecutive"]:
            self.open = True
        self._last = "Breached" if self.open else "Pending"
        return self._last
