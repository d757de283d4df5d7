"""What ten thousand policies cost while nothing happens, and how soon all of them are evaluated."""

import os
import re
import signal
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import requests

from bench.breach import USER
from bench.fleet import Fleet, read_json
from bench.ground import Ground, ground
from tests.support.operator import OperatorProcess
from tests.support.waiting import wait_until


@dataclass
class Idle:
    """One fleet at rest.

    Attributes:
        created: seconds to make the fleet.
        first, again: seconds until all were evaluated, on a fresh fleet (each status is written) and after a restart.
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
            operator = place.operator(policies)
            first = _evaluated(place, operator)
            fleet.wait_armed(policies, 1800)
            operator.stop(60)
            operator = place.operator(policies)
            again = _evaluated(place, operator)
            _settle(place, operator, interval)
            return _rest(place, operator, policies, texts, interval, created, first, again, window)
        finally:
            fleet.close()


def _evaluated(place: Ground, operator: OperatorProcess) -> float:
    file = place.watch_file()

    def there() -> float:
        if operator.process.poll() is not None:
            raise RuntimeError(f"the operator ended: {operator.log.read_text()[-3000:]}")
        return float(read_json(file).get("evaluated", 0)) if file.exists() else 0.0

    took = wait_until(there, 900, describe="all policies to be evaluated")
    print(f"all evaluated after {took:.1f} s", flush=True)
    return took


def _settle(place: Ground, operator: OperatorProcess, interval: str) -> None:
    """Three ticks, and nothing asked of the API server any more."""
    ticks = operator.metric("model_rollback_tick_seconds_count") + 3
    wait_until(lambda: operator.metric("model_rollback_tick_seconds_count") >= ticks, 300, every=1)

    def quiet() -> bool:
        mark = place.audit.mark()
        time.sleep(5)
        return not _asked(place, mark)

    wait_until(quiet, 300, describe="rest")


def _rest(
    place: Ground,
    operator: OperatorProcess,
    policies: int,
    texts: int,
    interval: str,
    created: float,
    first: float,
    again: float,
    window: float,
) -> Idle:
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
    return Idle(
        policies=policies,
        texts=texts,
        interval=interval,
        created=created,
        first=first,
        again=again,
        again_cpu=read_json(place.watch_file())["cpu"],
        rss=_kib(memory, "VmRSS") / 1024,
        peak=_kib(memory, "VmHWM") / 1024,
        cpu=100 * used,
        lag=1000 * statistics.quantiles(lags, n=1000)[-1],
        ticks=ticks,
        skipped=skipped,
        per_tick=(after["requests"] - before["requests"]) / max(1, ticks),
        asked=sum(asked.values()),
        tick=1000 * (after["seconds"] - before["seconds"]) / max(1, ticks),
        load=os.getloadavg()[0],
    )


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
