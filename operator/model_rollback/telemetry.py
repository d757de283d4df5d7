"""The operator's own metrics. Label values are the words of conditions and Events."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

REGISTRY = CollectorRegistry()

EVALUATIONS = Counter("model_rollback_evaluations", "Policies evaluated.", registry=REGISTRY)
QUERIES = Counter(
    "model_rollback_queries", "Queries asked of a metrics source.", ["source"], registry=REGISTRY
)
QUERY_ERRORS = Counter(
    "model_rollback_query_errors",
    "Queries without an answer that may be believed.",
    ["source", "kind"],
    registry=REGISTRY,
)
TICK_SECONDS = Histogram(
    "model_rollback_tick_seconds", "From the moment a tick was due to its last decision.", registry=REGISTRY
)
TICK_LAG_SECONDS = Histogram(
    "model_rollback_tick_lag_seconds", "From the moment a tick was due to its first query.", registry=REGISTRY
)
QUERY_SECONDS = Histogram(
    "model_rollback_query_seconds",
    "From asking a metrics source to its answer or error, waiting for a free slot included.",
    ["source"],
    registry=REGISTRY,
)
EVALUATION_SECONDS = Histogram(
    "model_rollback_evaluation_seconds",
    "From the last answer of a tick to its last decision, status writes included.",
    registry=REGISTRY,
)
TICKS_SKIPPED = Counter(
    "model_rollback_ticks_skipped",
    "Ticks left out because the one before was still running.",
    ["source"],
    registry=REGISTRY,
)
LAST_EVALUATION = Gauge(
    "model_rollback_last_evaluation_timestamp_seconds",
    "When policies of this source were last evaluated; `time() - …` is the age.",
    ["source"],
    registry=REGISTRY,
)
ROLLBACKS = Counter("model_rollback_rollbacks", "Finished Rollbacks.", ["result"], registry=REGISTRY)
HALTED = Gauge("model_rollback_halted", "Rollbacks that wait for a person.", registry=REGISTRY)
EVENTS_DROPPED = Counter(
    "model_rollback_events_dropped",
    "Kubernetes Events that were not published.",
    ["cause"],
    registry=REGISTRY,
)
LEADER = Gauge(
    "model_rollback_leader",
    "1 in the replica that decides and writes, 0 in those that stand by.",
    registry=REGISTRY,
)
KOPF_RESTARTS = Counter(
    "model_rollback_watcher_restarts", "Restarts of kopf by its supervisor.", registry=REGISTRY
)
POLICIES_BLIND = Gauge(
    "model_rollback_policies_blind",
    "Policies with a trigger that cannot be measured now.",
    ["source"],
    registry=REGISTRY,
)
FLEET_BRAKE = Gauge(
    "model_rollback_fleet_brake_engaged",
    "1 while so many policies of a source turned Breached at once that new Rollbacks wait.",
    ["source"],
    registry=REGISTRY,
)


def forget_source(source: str) -> None:
    """No policy names it any more: what was last said of it would raise alarms for ever."""
    for gauge in (LAST_EVALUATION, POLICIES_BLIND, FLEET_BRAKE):
        with contextlib.suppress(KeyError):
            gauge.remove(source)


def forget_judgements() -> None:
    """This process does not judge any more. When it last did stays: nobody may be doing it."""
    POLICIES_BLIND.clear()
    FLEET_BRAKE.clear()


@dataclass(frozen=True, slots=True)
class Census:
    """How many there are now.

    Attributes:
        triggers: state → triggers in it.
        armed: reason of the condition `Armed` → policies; `Armed` itself, or the first gate that blocks.
        unanswered: the gate → policies that are breached and that it keeps from their Rollback.
    """

    triggers: dict[str, int]
    armed: dict[str, int]
    unanswered: dict[str, int] = field(default_factory=dict)


class _Counted:
    """Counts when it is scraped, so that nothing is counted while nobody looks."""

    def __init__(self) -> None:
        self.take: Callable[[], Census] = lambda: Census({}, {})

    def collect(self) -> Iterable[Metric]:
        census = self.take()
        yield _family("model_rollback_triggers", "Triggers by state.", "state", census.triggers)
        yield _family(
            "model_rollback_policies",
            "Policies by what a breach would meet now: `Armed`, or the first gate that blocks.",
            "armed",
            census.armed,
        )
        yield _family(
            "model_rollback_breaches_unanswered",
            "Policies that are breached and start no Rollback, by the gate that blocks it.",
            "gate",
            census.unanswered,
        )

    def describe(self) -> Iterator[Metric]:
        yield from self.collect()


def _family(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family


COUNTED: Final = _Counted()
"""`COUNTED.take` is set by the engine that runs."""
REGISTRY.register(COUNTED)
