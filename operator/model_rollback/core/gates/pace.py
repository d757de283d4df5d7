"""Gates that keep rollbacks from following each other, and from coming at the wrong time."""

from model_rollback.api.reasons import Reason
from model_rollback.api.types import format_duration
from model_rollback.core.freeze import frozen
from model_rollback.core.gates.observation import Blocked, Observation

_UNCOUNTED = frozenset({"Withdrawn", "Denied", "Expired"})
"""Results of a Rollback that people or the metric stopped before anything was written."""


def fleet_brake(o: Observation) -> Blocked | None:
    """So many policies of the source turned Breached at once that the metrics are suspect; wait and judge again."""
    if o.brake.until is None or not any(m.open and not m.consumed_by for m in o.triggers.values()):
        return None
    return Blocked(
        Reason.FLEET_BRAKE,
        f"{o.brake.share}: the metrics are likelier to be broken than all these models; "
        f"new rollbacks wait until {o.brake.until:%Y-%m-%d %H:%M:%S} UTC and are judged again",
        o.brake.until,
    )


def breach_consumed(o: Observation) -> Blocked | None:
    """This breach has had its Rollback; the next breach begins after a healthy measurement."""
    notifies = {t.name for t in o.policy.triggers if t.action == "Notify"} if o.policy is not None else set()
    breached = [m for name, m in o.triggers.items() if m.open and name not in notifies]
    if breached and all(m.consumed_by for m in breached):
        return Blocked(
            Reason.BREACH_CONSUMED,
            f"this breach was answered by {breached[0].consumed_by}; the next counts from when the metric is healthy",
        )
    return None


def cooldown_active(o: Observation) -> Blocked | None:
    """A Rollback of this ModelDeployment finished less than `guards.cooldown` ago."""
    last = max((r.finished_at for r in o.status.last_rollbacks), default=None)
    if o.policy is None or last is None:
        return None
    until = last + o.policy.guards.cooldown
    if until <= o.now:
        return None
    return Blocked(
        Reason.COOLDOWN_ACTIVE,
        f"a rollback finished at {last:%H:%M:%S} UTC; cooldown of {format_duration(o.policy.guards.cooldown)} "
        f"ends at {until:%Y-%m-%d %H:%M:%S} UTC",
        until,
    )


def rollback_budget_exhausted(o: Observation) -> Blocked | None:
    """`guards.maxRollbacks` Rollbacks of this ModelDeployment finished lately: something else is wrong, look at it."""
    if o.policy is None:
        return None
    budget = o.policy.guards.max_rollbacks
    counted = sorted(
        (
            r.finished_at
            for r in o.status.last_rollbacks
            if r.type != "Drill" and r.result not in _UNCOUNTED and r.finished_at + budget.per > o.now
        ),
        reverse=True,
    )
    if len(counted) < budget.count:
        return None
    until = counted[budget.count - 1] + budget.per
    return Blocked(
        Reason.ROLLBACK_BUDGET_EXHAUSTED,
        f"{budget.count} rollbacks within {format_duration(budget.per)} are allowed and done; "
        f"the next may start at {until:%Y-%m-%d %H:%M:%S} UTC",
        until,
    )


def frozen_window(o: Observation) -> Blocked | None:
    """One of `guards.freezeWindows` is open: nothing is changed automatically."""
    freeze = frozen(o.policy.guards.freeze_windows, o.now) if o.policy is not None else None
    if freeze is None:
        return None
    window, until = freeze
    return Blocked(
        Reason.FROZEN_WINDOW,
        f"freeze window {window.schedule!r} ({window.time_zone}) is open until {until:%Y-%m-%d %H:%M:%S} UTC",
        until,
    )
