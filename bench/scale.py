"""What ten thousand policies cost while nothing happens, and how soon all of them are evaluated."""

import os
import re
import signal
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from bench.breach import USER
from bench.fleet import BAD, GOOD, Fleet, read_json
from bench.ground import Ground, ground
from tests.support.operator import OperatorProcess
from tests.support.waiting import wait_until

_QUIET: Final = 4.0
_SAY_EVERY: Final = 10.0


@dataclass
class Idle:
    """One fleet at rest.

    Attributes:
        created: seconds to make the fleet.
        first, again: seconds until all were evaluated, on a fresh fleet and after a restart. On a fresh fleet each
            status is written and each version recorded, beside the ticks.
        written: seconds until that was done. writes: how many requests it took, reads among them.
        breach: seconds from a bad value to the patched Deployment, while that was being written.
        again_cpu: seconds of CPU that the operator used for it after the restart.
        rss, peak: MiB. cpu: percent of a core. lag: p99.9 in milliseconds.
        ticks, skipped: within the window. per_tick: requests to Prometheus per tick. asked: of the API server.
        tick: mean milliseconds from the moment a tick was due to its last decision.
        load: the machine's, one minute, at the end.
    """

    policies: int
    texts: int
    interval: str
    created: float
    first: float
    written: float
    writes: int
    breach: float
    again: float
    again_cpu: float
    rss: float
    peak: float
    cpu: float
    lag: float
    ticks: float
    skipped: int
    per_tick: float
    asked: int
    tick: float
    load: float


def measure(policies: int, texts: int, interval: str, *, window: float) -> Idle:
    """On a cluster of its own. `window`: seconds of rest that are looked at, twice (CPU first, then lag)."""
    with ground() as place:
        place.prepare()
        fleet = Fleet(place, policies, texts=texts, interval=interval)
        began = time.monotonic()
        fleet.create(fleet.names)
        created = time.monotonic() - began
        print(f"created {policies} in {created:.0f} s", flush=True)
        try:
            mark, began = place.audit.mark(), time.monotonic()
            operator = place.operator(policies)
            first = _evaluated(place, operator)
            breach = _breach(fleet)
            _quiet(place, 900)
            written = time.monotonic() - began - _QUIET
            writes = sum(_asked(place, mark).values())
            print(f"all written after {written:.0f} s, {writes} requests", flush=True)
            operator.stop(60)
            operator = place.operator(policies)
            again = _evaluated(place, operator)
            _settle(place, operator)
            idle = _rest(place, operator, window)
        finally:
            fleet.close()
    return Idle(
        policies=policies,
        texts=texts,
        interval=interval,
        created=created,
        first=first,
        written=written,
        writes=writes,
        breach=breach,
        again=again,
        **idle,
    )


def _evaluated(place: Ground, operator: OperatorProcess) -> float:
    file = place.watch_file()
    said = time.monotonic()

    def there() -> float:
        nonlocal said
        if operator.process.poll() is not None:
            raise RuntimeError(f"the operator ended: {operator.log.read_text()[-3000:]}")
        if time.monotonic() - said > _SAY_EVERY:
            said = time.monotonic()
            print(f"  evaluating; {_cpu(operator.pid):.0f} s of CPU so far", flush=True)
        return float(read_json(file).get("evaluated", 0)) if file.exists() else 0.0

    took = wait_until(there, 600, describe="all policies to be evaluated")
    print(f"all evaluated after {took:.1f} s", flush=True)
    return took


def _breach(fleet: Fleet) -> float:
    """Of the last policy, which is the last of those whose status waits to be written."""
    name = fleet.names[-1]
    began = time.monotonic()
    fleet.exporter.set(BAD, name)
    bad = fleet.image(name)
    wait_until(lambda: fleet.image(name) != bad, 300, describe="the breach to be answered", every=0.2)
    took = time.monotonic() - began
    print(f"a breach was answered after {took:.1f} s, a scrape and a tick among them", flush=True)
    fleet.exporter.set(GOOD, name)
    fleet.roll_out([name])
    return took


def _quiet(place: Ground, timeout: float) -> None:
    """Until nothing is asked of the API server any more."""

    def quiet() -> bool:
        mark = place.audit.mark()
        time.sleep(_QUIET)
        asked = _asked(place, mark)
        if asked:
            print(
                f"  {sum(asked.values()) / _QUIET:.0f} requests/s: {dict(asked.most_common(4))}", flush=True
            )
        return not asked

    wait_until(quiet, timeout, describe="rest")


def _settle(place: Ground, operator: OperatorProcess) -> None:
    """Two ticks, and nothing asked of the API server any more."""
    ticks = operator.metric("model_rollback_tick_seconds_count") + 2
    wait_until(lambda: operator.metric("model_rollback_tick_seconds_count") >= ticks, 300, every=1)
    _quiet(place, 300)


def _rest(place: Ground, operator: OperatorProcess, window: float) -> dict[str, Any]:
    print(f"at rest; looked at for twice {window:.0f} s", flush=True)
    mark, before, lines = place.audit.mark(), _counts(place, operator), len(operator.lines())
    cpu = _cpu(operator.pid)
    began = time.monotonic()
    time.sleep(window)
    used = (_cpu(operator.pid) - cpu) / (time.monotonic() - began)
    after = _counts(place, operator)
    asked = _asked(place, mark)
    if asked:
        print(f"asked of the API server while idle: {asked}", flush=True)
    os.kill(operator.pid, signal.SIGUSR1)
    time.sleep(window)
    os.kill(operator.pid, signal.SIGUSR1)
    lags = wait_until(lambda: read_json(place.watch_file()).get("lags"), describe="the lags")
    ticks = after["ticks"] - before["ticks"]
    skipped = sum("tick skipped" in str(line.get("event")) for line in operator.lines()[lines:])
    memory = Path(f"/proc/{operator.pid}/status").read_text()
    return {
        "again_cpu": read_json(place.watch_file())["cpu"],
        "rss": _kib(memory, "VmRSS") / 1024,
        "peak": _kib(memory, "VmHWM") / 1024,
        "cpu": 100 * used,
        "lag": 1000 * statistics.quantiles(lags, n=1000)[-1],
        "ticks": ticks,
        "skipped": skipped,
        "per_tick": (after["requests"] - before["requests"]) / max(1, ticks),
        "asked": sum(asked.values()),
        "tick": 1000 * (after["seconds"] - before["seconds"]) / max(1, ticks),
        "load": os.getloadavg()[0],
    }


def _counts(place: Ground, operator: OperatorProcess) -> dict[str, float]:
    page = requests.get(f"{place.prometheus.url}/metrics", timeout=10).text
    asked = re.findall(r'prometheus_http_requests_total\{code="\d+",handler="/api/v1/query"\} (\S+)', page)
    return {
        "requests": sum(map(float, asked)),
        "ticks": operator.metric("model_rollback_tick_seconds_count"),
        "seconds": operator.metric("model_rollback_tick_seconds_sum"),
    }


def _asked(place: Ground, mark: int) -> Counter[str]:
    """Of the API server, by the operator; watches apart."""
    return Counter(f"{e.verb} {e.resource}" for e in place.audit.since(mark, user=USER) if e.verb != "watch")


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kib(text: str, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    assert found is not None
    return int(found.group(1))
