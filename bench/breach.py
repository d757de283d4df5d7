"""How long from a breaching sample in Prometheus to the patch of its Deployment; and a thousand of them at once.

`visible` is the first moment at which a 10 ms poller sees the sample in Prometheus; `patched` is when the API server
answered the operator's patch, by its audit log. Scrape and interval are both 5 s and `for` is zero; the breach comes
at a uniformly random moment between two scrapes, one for each scrape, so that no trial disturbs another one. Nothing
is rolled out behind the patch, so a Rollback that was measured stands still. Every trial counts.

With one armed policy each trial has a system of its own: while one breaches, the policy of the next one is created and
armed, which costs one status write at the same tick.

What a storm can reach: a raw patch is one request, and a rollback needs writes before and with its patch that may not
be saved, because each of them is what the next process goes on from (the lock, the Rollback, the bad version's values,
the plan with "Running" and `before` and `after`, the patch), besides the dry run, the quarantine, and the breach in the
policy's status. So eight are the floor, and a share of the raw patch rate above 1/8 = 12 % cannot be had by an operator
that records first, if all writes cost the same; status writes of custom resources cost the API server two to four raw
patches (ADR 0013). So the storm's own floor is the rate at which the API server takes those very writes from a client
that decides nothing (`recorded`). The audit log has the bodies of raw patches as it has those of all other writes.
"""

import os
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bench import floors, recorded
from bench.fleet import BAD, GOOD, Fleet, image_of
from bench.ground import NAMESPACE, Ground, ground
from tests.support.audit import AuditEvent
from tests.support.operator import SERVICE_ACCOUNT
from tests.support.waiting import wait_until

USER = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
QUERY = "model_quality"
BRAKE_OFF = {"maxShare": 1}
SCRAPE = 5.0
_SPARE = 300
"""Systems beside the storm, for its floor."""
_AT_ONCE = 16
"""As many as the operator moves towards their patch at once, by its default."""


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
    """
    Attributes:
        rate: patches per second. raw_rate: of the raw client with eight at once.
        recorded_rate: systems per second, of the same writes sent by a client that decides nothing (`recorded`).
        writes: of one system up to its patch.
        half_patched, all_patched: seconds from visible to the median patch and to the last one.
        requests: of the operator, for each rollback, up to the last patch.
    """

    policies: int
    rate: float
    raw_rate: float
    recorded_rate: float
    writes: int
    half_patched: float
    all_patched: float
    requests: float
    load: float


def latency(armed: int, trials: int, *, settled: float = 30.0) -> Latency:
    """On a cluster of its own. `settled`: seconds in which the operator learns when samples land."""
    with ground() as place:
        place.prepare()
        fleet = Fleet(place, max(armed, trials))
        try:
            fleet.create(fleet.names[:armed])
            fleet.create(fleet.names[armed:], armed=False)
            place.operator(armed, brake=BRAKE_OFF)
            fleet.wait_armed(armed, 1800)
            time.sleep(settled)
            mark = place.audit.mark()
            visible = _trials(place, fleet, armed, trials)
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


def _trials(place: Ground, fleet: Fleet, armed: int, trials: int) -> dict[str, float]:
    """Name → when its sample became visible. So many policies are armed while one of them breaches."""
    visible: dict[str, float] = {}
    scraped = place.prometheus.value(f"max(timestamp({QUERY}))")
    for number, name in enumerate(fleet.names[:trials]):
        if number >= armed:
            fleet.disarm(fleet.names[number - armed])
        if armed < trials and number + 1 < trials and number + 1 >= armed:
            fleet.arm(fleet.names[number + 1])
        wait_until(partial(fleet.is_armed, name), 120, describe=f"{name} to be armed")
        scraped = visible[name] = _breach(place, fleet, name, scraped + SCRAPE)
        print(f"{number + 1} of {trials}", end="\r", flush=True)
    return visible


def _breach(place: Ground, fleet: Fleet, name: str, scrape: float) -> float:
    """One trial: when its sample became visible. `scrape`: when one is expected, or was if it has passed."""
    while scrape < time.time() + 0.5:
        scrape += SCRAPE
    time.sleep(random.random() * (scrape - 0.5 - time.time()))
    fleet.exporter.set(BAD, name)
    # Until shortly before it the poller would only take the machine's time.
    time.sleep(max(0.0, scrape - 0.5 - time.time()))
    visible = _visible(place, f'{QUERY}{{model="{name}"}} < 0.9')
    wait_until(
        partial(fleet.image, name),
        120,
        accept=lambda image: image == image_of(name, "v12"),
        describe=f"{name} to be patched",
        every=0.2,
    )
    fleet.exporter.set(GOOD, name)
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
        fleet = Fleet(place, policies + _SPARE)
        struck, spare = fleet.names[:policies], fleet.names[policies:]
        try:
            fleet.create(fleet.names)
            operator = place.operator(len(fleet.names), brake=BRAKE_OFF)
            fleet.wait_armed(len(fleet.names), 1800)
            _, raw = floors.patches(place, struck, at_once=8)
            mark = place.audit.mark()
            visible = _strike(place, fleet, struck)
            events = _of_operator(place, mark)
            refuse_disorder(events, struck)
            operator.stop(60)
            patches = sorted((e for e in events if _step(e) == "patch"), key=_answered)
            moments = [_answered(event) for event in patches]
            model = patches[len(patches) // 2]
            writes = recorded.script(events, model.name, model)
            return Storm(
                policies,
                (len(moments) - 1) / (moments[-1] - moments[0]),
                raw,
                recorded.rate(place, writes, model.name, spare, at_once=_AT_ONCE),
                len(writes),
                moments[len(moments) // 2] - visible,
                moments[-1] - visible,
                sum(_answered(e) <= moments[-1] for e in events) / policies,
                os.getloadavg()[0],
            )
        finally:
            fleet.close()


def _strike(place: Ground, fleet: Fleet, names: Sequence[str]) -> float:
    """Returns when the breach of all became visible, once all of them are patched."""
    fleet.exporter.set(BAD, *names)
    visible = _visible(place, f"{QUERY} < 0.9")
    wait_until(
        fleet.images,
        1800,
        accept=lambda images: all(images.get(n) == image_of(n, "v12") for n in names),
        describe="all of them to be patched",
        every=3,
    )
    return visible


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
            found[event.name] = _answered(event)
    return found


def _answered(event: AuditEvent) -> float:
    return datetime.fromisoformat(event.raw["stageTimestamp"]).timestamp()
