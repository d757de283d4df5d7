"""What a tick asks, and how long it waits for it."""

import asyncio
from datetime import timedelta

import pytest

from model_rollback import telemetry
from model_rollback.adapters.clock import SystemClock
from model_rollback.core.brake import BrakeRule
from model_rollback.core.phase import next_tick
from model_rollback.engine.scheduler import Scheduler
from model_rollback.engine.store import Store
from model_rollback.errors import MetricsError
from tests.unit.core.builders import NOW, answer


class Judge:
    """An evaluator that takes what it is given."""

    def __init__(self):
        self.given, self.moments = [], []

    def questions(self, policy, *, now):
        return policy.questions

    def target_seen(self, policy, now):
        return None

    async def measure(self, policy, answers, *, now):
        self.moments.append(now)
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


class Leaping:
    """A clock that is where somebody waits for it to be."""

    def __init__(self, now):
        self._now = now

    def now(self):
        return self._now

    async def sleep_until(self, moment):
        self._now = max(self._now, moment)


def ticked(interval, *queries, clock=None, **source):
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
    scheduler = Scheduler(store, {"default": asked}, judge, clock or SystemClock(), BrakeRule())
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


@pytest.mark.parametrize("late", [1, 7, 8, 14])
async def test_the_first_tick_is_the_next_moment_however_near(late):
    moment = next_tick(NOW, timedelta(seconds=15))
    scheduler, _, _, judge = ticked("15s", "up", clock=Leaping(moment + timedelta(seconds=late)))

    running = asyncio.create_task(scheduler.run())
    async with asyncio.timeout(30):
        while not judge.moments:  # noqa: ASYNC110 - the judge tells nobody
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert judge.moments[0] == moment + timedelta(seconds=15)


async def test_a_source_that_no_policy_names_any_more_raises_no_alarm():
    scheduler, store, _, _ = ticked("15s", "up")
    run = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    await run_tick(scheduler, store)
    telemetry.POLICIES_BLIND.labels("default").set(1)
    telemetry.FLEET_BRAKE.labels("default").set(1)
    assert said_of_default() == [NOW.timestamp(), 1, 1]

    store.drop_policy(("shop", "p0"))
    scheduler.wake()
    for _ in range(20):  # turns of the loop
        await asyncio.sleep(0)

    assert said_of_default() == [None, None, None]
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def test_whoever_does_not_judge_any_more_counts_no_blind_policy():
    scheduler, _, _, _ = ticked("15s", "up")
    run = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    telemetry.POLICIES_BLIND.labels("default").set(3)

    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    assert said_of_default()[1] is None


def said_of_default():
    names = ("last_evaluation_timestamp_seconds", "policies_blind", "fleet_brake_engaged")
    return [
        telemetry.REGISTRY.get_sample_value(f"model_rollback_{name}", {"source": "default"}) for name in names
    ]
