"""What a tick asks, and how long it waits for it."""

from datetime import timedelta

import pytest

from model_rollback.adapters.clock import SystemClock
from model_rollback.core.brake import BrakeRule
from model_rollback.engine.scheduler import Scheduler
from model_rollback.engine.store import Store
from model_rollback.errors import MetricsError
from tests.unit.core.builders import NOW, answer


class Judge:
    """An evaluator that takes what it is given."""

    def __init__(self):
        self.given = []

    def questions(self, policy, *, now):
        return policy.questions

    def target_seen(self, policy, now):
        return None

    async def measure(self, policy, answers, *, now):
        self.given.append({q.text: a for q, a in answers.items()})
        return False


class Patient:
    """A source that notes how long it is waited for."""

    def __init__(self, failing=()):
        self.failing, self.asked = failing, []

    async def query(self, text, at, *, within=None):
        if not text.startswith("count_values"):  # the companions, which look for the samples' phase
            self.asked.append((text, within))
        if text in self.failing:
            raise MetricsError("timeout", "no answer")
        return answer(1.0)


def ticked(interval, *queries, **source):
    """A scheduler whose policies ask these queries, with its source and its evaluator."""
    store, asked, judge = Store(), Patient(**source), Judge()
    for n, query in enumerate(queries):
        trigger = {"name": "t", "query": query, "breach": {"operator": "LessThan", "threshold": "1"}}
        store.put_policy(
            {
                "metadata": {"name": f"p{n}", "namespace": "shop", "uid": str(n), "generation": 1},
                "spec": {
                    "modelDeploymentRef": {"name": "m"},
                    "interval": interval,
                    "triggers": [trigger],
                },
            }
        )
    scheduler = Scheduler(store, {"default": asked}, judge, SystemClock(), BrakeRule())
    return scheduler, store, asked, judge


async def run_tick(scheduler, store):
    (group,) = store.groups
    scheduler._begin(group, NOW, list(store.groups[group].values()))
    await scheduler._ticks[group]


@pytest.mark.parametrize(("interval", "most"), [("1s", 0.9), ("15s", 13.5), ("1m", 54)])
async def test_no_question_is_waited_for_into_the_next_tick(interval, most):
    scheduler, store, source, _ = ticked(interval, "up")

    await run_tick(scheduler, store)

    ((_, within),) = source.asked
    assert timedelta(0) < within <= timedelta(seconds=most)


async def test_each_distinct_query_is_asked_once_and_a_failing_one_spoils_no_other():
    scheduler, store, source, judge = ticked("15s", "a", "a", "b", failing=["b"])

    await run_tick(scheduler, store)

    assert sorted(text for text, _ in source.asked) == ["a", "b"]
    assert len(judge.given) == 3
    assert {type(given["b"]) for given in judge.given} == {MetricsError}
