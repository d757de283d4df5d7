"""Counts triggers and policies by state, for the operator's own metrics."""

from collections import Counter
from typing import Final

from model_rollback.api.conditions import find_condition
from model_rollback.api.reasons import Reason
from model_rollback.core.triggers import waiting
from model_rollback.engine.store import PolicyEntry, Store
from model_rollback.telemetry import Census

_ANSWERED: Final = frozenset({Reason.ROLLBACK_IN_PROGRESS, Reason.BREACH_CONSUMED})


def take_census(store: Store) -> Census:
    """What there is now."""
    triggers: Counter[str] = Counter()
    armed: Counter[str] = Counter()
    unanswered: Counter[str] = Counter()
    for policy in store.policies.values():
        triggers.update(memory.state for memory in policy.memories.values())
        found = find_condition(policy.status.conditions, "Armed")
        armed[found.reason if found is not None else "Unknown"] += 1
        if found is not None and found.status == "False" and found.reason not in _ANSWERED and _waits(policy):
            unanswered[found.reason] += 1
    return Census(dict(triggers), dict(armed), dict(unanswered))


def _waits(policy: PolicyEntry) -> bool:
    """Whether enough of its triggers are Breached, and no Rollback has answered them."""
    breached = {n for n, m in policy.memories.items() if m.state == "Breached" and not m.consumed_by}
    if not breached or policy.spec is None:
        return False
    return bool(waiting(policy.spec.triggers, policy.spec.match.at_least, breached))
