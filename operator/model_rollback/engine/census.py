"""Counts triggers and policies by state, for the operator's own metrics."""

from collections import Counter

from model_rollback.api.conditions import find_condition
from model_rollback.engine.store import Store
from model_rollback.telemetry import Census


def take_census(store: Store) -> Census:
    """What there is now."""
    triggers: Counter[str] = Counter()
    armed: Counter[str] = Counter()
    for policy in store.policies.values():
        triggers.update(memory.state for memory in policy.memories.values())
        found = find_condition(policy.status.conditions, "Armed")
        armed[found.reason if found is not None else "Unknown"] += 1
    return Census(dict(triggers), dict(armed))
