"""How long from a breaching sample in Prometheus to the patch of its Deployment; and a thousand of them at once.

`visible` is the first moment at which a 10 ms poller sees the sample in Prometheus; `patched` is when the API server
answered the operator's patch, by its audit log. Scrape and interval are both 5 s and `for` is zero; the breach comes
at a uniformly random moment. Every trial counts.
"""

import os
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bench import floors
from bench.fleet import BAD, GOOD, Fleet, image_of
from bench.ground import NAMESPACE, Ground, ground
from tests.support.audit import AuditEvent
from tests.support.operator import SERVICE_ACCOUNT
from tests.support.waiting import wait_until

USER = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
QUERY = "model_quality"
BRAKE_OFF = {"maxShare": 1}


@dataclass
class Latency:
    """Seconds of each trial, with so many armed policies, and of each floor; the machine's load at the end."""

    armed: int
    trials: list[float]
    query: list[float]
    patch: list[float]
    load: float


@dataclass
class Storm:
    """Patches per second of a storm, of the raw client with eight at once; seconds from visible to the last patch."""

    policies: int
    rate: float
    raw_rate: float
    all_patched: float
    load: float


def latency(armed: int, trials: int, *, settled: float = 60.0) -> Latency:
    """On a cluster of its own. `settled`: seconds in which the operator learns when samples land."""
    with ground() as place:
        place.prepare()
        fleet = Fleet(place, max(armed, trials))
        try:
            fleet.create(fleet.names[:armed])
            place.operator(armed, brake=BRAKE_OFF)
            fleet.wait_armed(armed, 1800)
            time.sleep(settled)
            mark = place.audit.mark()
            visible = {}
            for number, name in enumerate(fleet.names[:trials]):
                if number >= armed:
                    fleet.remove(fleet.names[number - 1])
                    fleet.create([name])
                    fleet.wait_armed(1, 120)
                visible[name] = _breach(place, fleet, name)
                print(f"{number + 1} of {trials}", end="\r", flush=True)
            patched = _patched(place, mark)
            raw, _ = floors.patches(place, [fleet.names[trials - 1]] * 50)
            return Latency(
                armed,
                [patched[name] - moment for name, moment in visible.items()],
                floors.query(place, QUERY),
                raw,
                os.getloadavg()[0],
            )
        finally:
            fleet.close()


def _breach(place: Ground, fleet: Fleet, name: str) -> float:
    """One trial: when its sample became visible; the Rollback goes on behind it."""
    time.sleep(5 * random.random())
    fleet.exporter.set(BAD, name)
    visible = _visible(place, f'{QUERY}{{model="{name}"}} < 0.9')
    wait_until(
        partial(fleet.image, name),
        120,
        accept=lambda image: image == image_of(name, "v12"),
        describe=f"{name} to be patched",
        every=0.2,
    )
    fleet.exporter.set(GOOD, name)
    fleet.roll_out([name])
    return visible


def _visible(place: Ground, query: str) -> float:
    while True:
        began = time.monotonic()
        if place.prometheus.query(query):
            return time.time()
        time.sleep(max(0.0, 0.01 - (time.monotonic() - began)))


def storm(policies: int) -> Storm:
    """All breach in one scrape, with the brake off."""
    with ground() as place:
        place.prepare()
        fleet = Fleet(place, policies)
        try:
            fleet.create(fleet.names)
            place.operator(policies, brake=BRAKE_OFF)
            fleet.wait_armed(policies, 1800)
            _, raw = floors.patches(place, fleet.names, at_once=8)
            mark = place.audit.mark()
            fleet.exporter.set(BAD, *fleet.names)
            visible = _visible(place, f"{QUERY} < 0.9")
            wait_until(
                fleet.images,
                1800,
                accept=lambda images: all(images.get(n) == image_of(n, "v12") for n in fleet.names),
                describe="all of them to be patched",
                every=2,
            )
            refuse_disorder(_of_operator(place, mark), fleet.names)
            moments = sorted(_patched(place, mark).values())
            return Storm(
                policies,
                (len(moments) - 1) / (moments[-1] - moments[0]),
                raw,
                moments[-1] - visible,
                os.getloadavg()[0],
            )
        finally:
            fleet.close()


def refuse_disorder(events: Iterable[AuditEvent], names: Iterable[str]) -> None:
    """For each system: the lock, then the Rollback, then the dry run, then one patch. Raises AssertionError."""
    seen: dict[str, list[str]] = {}
    for event in events:
        step = _step(event)
        if step:
            system = event.name.rsplit("-", 1)[0] if step == "rollback" else event.name
            seen.setdefault(system, []).append(step)
    for name in names:
        steps = seen.get(name, [])
        order = [
            steps.index(step) if step in steps else -1 for step in ("lock", "rollback", "dry run", "patch")
        ]
        assert -1 not in order, f"{name}: {steps}"
        assert order == sorted(order), f"{name}: {steps}"
        assert steps.count("patch") == 1, f"{name} was patched {steps.count('patch')} times"


def _step(event: AuditEvent) -> str:
    if event.resource == "rollbacks" and event.verb == "create":
        return "rollback"
    if event.resource == "modeldeployments" and event.subresource == "status":
        return "lock"
    if event.resource == "deployments" and event.verb == "patch" and not event.subresource:
        return "patch" if event.writes else "dry run"
    return ""


def _of_operator(place: Ground, mark: int) -> list[AuditEvent]:
    return place.audit.since(mark, user=USER)


def _patched(place: Ground, mark: int) -> dict[str, float]:
    """When the API server answered the one patch of each Deployment."""
    found: dict[str, float] = {}
    for event in _of_operator(place, mark):
        if _step(event) == "patch":
            assert event.name not in found, f"{event.name} was patched twice"
            found[event.name] = datetime.fromisoformat(event.raw["stageTimestamp"]).timestamp()
    return found
