"""The operator's own metrics. Label values are the words of conditions and Events."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
ROLLBACKS = Counter("model_rollback_rollbacks", "Finished Rollbacks.", ["result"], registry=REGISTRY)
HALTED = Gauge("model_rollback_halted", "Rollbacks that wait for a person.", registry=REGISTRY)
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
