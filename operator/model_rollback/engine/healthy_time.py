"""Healthy time: what makes a version Verified, counted while every Rollback trigger of every policy is well."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from model_rollback.core.measure import Verdict
from model_rollback.engine.store import PolicyEntry


def is_healthy(policies: Sequence[PolicyEntry], now: datetime) -> bool:
    """Whether the policies of one ModelDeployment agree that its version is well; False when none of them acts."""
    judging = [p for p in policies if _acting(p)]
    return bool(judging) and all(_is_healthy(p, now) for p in judging)


def _acting(policy: PolicyEntry) -> set[str]:
    """The triggers that may start a Rollback; every one of a policy that cannot be read."""
    if policy.spec is None:
        return set(policy.memories) or {""}
    return {t.name for t in policy.spec.triggers if t.action == "Rollback"}


def _is_healthy(policy: PolicyEntry, now: datetime) -> bool:
    """Whether every Rollback trigger was measured lately and found healthy; `onNoData: Healthy` is no measurement.

    A version that there is no other to compare with is as good as anybody can tell (docs/decisions/0006).
    """
    policy.catch_up()
    memories = [policy.memories.get(name) for name in _acting(policy)]
    return all(
        m is not None
        and m.measurement is not None
        and (
            (m.state == "Healthy" and m.measurement.verdict is Verdict.HEALTHY)
            or (m.measurement.unrivalled and not m.open)
        )
        and now - m.observed_at <= freshness(policy)
        for m in memories
    )


def freshness(policy: PolicyEntry) -> timedelta:
    """How long a healthy tick speaks for the time after it."""
    interval = policy.spec.interval if policy.spec is not None else timedelta(0)
    return max(2 * interval, timedelta(minutes=1))
