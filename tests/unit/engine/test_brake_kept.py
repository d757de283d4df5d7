"""The fleet brake outlives the process that engaged it: whoever comes next finds in the statuses who was held by it."""

from datetime import timedelta

import pytest

from model_rollback.api.conditions import condition
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_policy import RollbackPolicyStatus
from model_rollback.core.brake import BrakeRule
from model_rollback.core.triggers import TriggerMemory
from model_rollback.engine.fleet import Fleet
from model_rollback.engine.store import Store
from tests.unit.core.builders import NOW, at, wire

GROUP = ("default", timedelta(seconds=15))
FLEET = 100


class Evaluator:
    """Every policy in `breached` is found as it was written: Breached, since `since`."""

    def __init__(self, breached, since):
        self.breached, self.since = breached, since
        self.brakes = []

    async def measure(self, policy, answers, *, now):
        state = "Breached" if policy in self.breached else "Healthy"
        policy.memories = {"t": TriggerMemory(state, since=self.since, observed_at=now, open=True)}
        return True

    async def conclude(self, policy, around, *, now):
        self.brakes.append(around.brake.until)


def written(reason):
    armed = condition("Armed", status=False, reason=reason, message="", at=NOW)
    return wire(RollbackPolicyStatus(conditions=(armed,)))


def successor(count, reason, since, rule=None):
    """A fleet as a new process finds it, `count` of it Breached."""
    store = Store()
    trigger = {"name": "t", "query": "up", "breach": {"operator": "LessThan", "threshold": "1"}}
    policies = [
        store.put_policy(
            {
                "metadata": {"name": f"p{n}", "namespace": "shop", "uid": str(n), "generation": 1},
                "spec": {"modelDeploymentRef": {"name": f"m{n}"}, "triggers": [trigger]},
                "status": written(reason),
            }
        )
        for n in range(FLEET)
    ]
    evaluator = Evaluator(policies[:count], since)
    return Fleet(store, evaluator, rule or BrakeRule()), policies, evaluator


@pytest.mark.parametrize(
    ("count", "reason", "since", "engaged"),
    [
        (30, Reason.FLEET_BRAKE, at(-240), True),
        (1, Reason.FLEET_BRAKE, at(-240), True),
        (0, Reason.FLEET_BRAKE, at(-240), False),
        (30, Reason.NO_SAFE_TARGET, at(-240), False),
        (30, Reason.BREACH_CONSUMED, at(-30), True),
        (30, Reason.BREACH_CONSUMED, at(-90), False),
    ],
    ids=[
        "held by the brake",
        "the first one that is seen",
        "nobody is Breached any more",
        "held by something else",
        "answered just now",
        "answered before",
    ],
)
async def test_the_brake_is_engaged_again(count, reason, since, engaged):
    fleet, policies, evaluator = successor(count, reason, since)

    await fleet.evaluate(GROUP, policies, {}, now=NOW)

    assert {until is not None for until in evaluator.brakes} == {engaged}


async def test_it_lets_go_although_they_are_still_breached():
    fleet, policies, evaluator = successor(30, Reason.FLEET_BRAKE, at(-240))
    for tick in range(0, 315, 15):
        evaluator.brakes.clear()
        await fleet.evaluate(GROUP, policies, {}, now=at(tick))

    assert set(evaluator.brakes) == {None}


async def test_where_there_is_no_brake_none_is_engaged_again():
    fleet, policies, evaluator = successor(30, Reason.FLEET_BRAKE, at(-240), BrakeRule(max_share=1))

    await fleet.evaluate(GROUP, policies, {}, now=NOW)

    assert set(evaluator.brakes) == {None}
