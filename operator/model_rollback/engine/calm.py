"""Policies that were healthy and still are, passed over at a tick for the price of comparing their values.

A policy is calm after a full evaluation that changed nothing, while everything that went into it stays as it was. It is
evaluated in full again every ten minutes or so, because time alone can change what a gate says.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from model_rollback.core.calm import Calm, is_calm, is_plain, is_settled
from model_rollback.core.presets import Policy
from model_rollback.core.questions import Answers
from model_rollback.core.versions import find_recorded
from model_rollback.engine.store import PolicyEntry, SystemEntry

_FULL_LOOK: Final = timedelta(minutes=5)
_SPREAD: Final = 600
"""Seconds over which the full looks of many policies are spread."""


def calm_of(
    policy: PolicyEntry, system: SystemEntry, *, now: datetime, look_again: datetime | None
) -> Calm | None:
    """The calm of a policy that was just evaluated in full; None when something is under way."""
    if policy.spec is None or policy.refused or system.status.active_rollback:
        return None
    if not all(is_plain(t) for t in policy.spec.triggers):
        return None
    if not policy.memories or not all(is_settled(m) for m in policy.memories.values()):
        return None
    current = find_recorded(system.status, system.status.current_digest)
    if current is not None and current.safe != "Verified":
        return None  # its healthy time is being counted
    until = now + _FULL_LOOK + timedelta(seconds=hash(policy.uid) % _SPREAD)
    if look_again is not None and look_again > now:
        until = min(until, look_again)
    return Calm(_rests_on(policy, system), tuple(system.live.values()), until, now)


def pass_over(policy: PolicyEntry, system: SystemEntry | None, answers: Answers, *, now: datetime) -> bool:
    """Whether the policy is calm at this tick too; it is then noted, and nothing else needs to be done."""
    calm = policy.calm
    if calm is None:
        return False
    if (
        system is not None
        and policy.spec is not None
        and calm.seen < now < calm.until
        and _is_unchanged(calm, policy, system)
        and _are_healthy(policy, policy.spec, answers)
    ):
        calm.seen = now
        return True
    policy.catch_up()
    return False


def _are_healthy(policy: PolicyEntry, spec: Policy, answers: Answers) -> bool:
    for trigger in spec.triggers:  # noqa: SIM110 - a generator for each policy and tick costs more than the loop
        if not is_calm(trigger, policy.questions[trigger.name], answers):
            return False
    return True


def _is_unchanged(calm: Calm, policy: PolicyEntry, system: SystemEntry) -> bool:
    """Spelled out, because it is asked of every policy at every tick."""
    spec, status, memories, same, system_spec, system_status = calm.rests_on
    return (
        policy.spec is spec
        and policy.status is status
        and policy.memories is memories
        and system is same
        and system.spec is system_spec
        and system.status is system_status
        and calm.live == tuple(system.live.values())
    )


def _rests_on(policy: PolicyEntry, system: SystemEntry) -> tuple[Any, ...]:
    return (policy.spec, policy.status, policy.memories, system, system.spec, system.status)
