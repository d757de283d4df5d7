"""A tick waits for breaches, and not for the statuses of thousands of quiet policies."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from model_rollback.core.brake import BrakeRule
from model_rollback.core.triggers import TriggerMemory
from model_rollback.engine.fleet import Fleet, is_quiet
from model_rollback.engine.store import Store
from tests.unit.core.builders import at

GROUP = ("default", timedelta(seconds=15))
MANY = 1000


class SlowApiServer:
    """An evaluator whose conclusions about quiet policies wait until the API server is quick again."""

    def __init__(self):
        self.quick = asyncio.Event()
        self.breached = set()
        self.concluded = Counter()
        self.moments = {}

    async def measure(self, policy, answers, *, now):
        async with policy.evaluating:
            state = "Breached" if policy.ref.name in self.breached else "NoData"
            policy.memories = {"t": TriggerMemory(state, since=now, observed_at=now)}
        return True

    async def conclude(self, policy, around, *, now):
        if policy.ref.name not in self.breached:
            await self.quick.wait()
        self.concluded[policy.ref.name] += 1
        self.moments[policy.ref.name] = now

    async def has_concluded(self, count):
        """Waits until it has, of so many policies."""
        async with asyncio.timeout(30):
            while len(self.concluded) < count:  # noqa: ASYNC110 - the worker tells nobody when it is done
                await asyncio.sleep(0)


def policies(store):
    trigger = {"name": "t", "query": "up", "breach": {"operator": "LessThan", "threshold": "1"}}
    return [
        store.put_policy(
            {
                "metadata": {"name": f"p{n}", "namespace": "shop", "uid": str(n), "generation": 1},
                "spec": {"modelDeploymentRef": {"name": f"m{n}"}, "triggers": [trigger]},
            }
        )
        for n in range(MANY)
    ]


@pytest.fixture
def fleet():
    """A fleet of one source that went blind, so that every status is to be written."""
    store, api = Store(), SlowApiServer()
    return Fleet(store, api, BrakeRule(max_share=1)), policies(store), api


async def test_a_breach_and_the_next_tick_wait_for_no_quiet_policy(fleet):
    fleet, all_of_them, api = fleet
    few, many = all_of_them[:1], all_of_them[1:]
    async with asyncio.timeout(30):
        fleet._backlog.put(many, None, now=at(0))
        api.breached = {"p0"}
        await fleet.evaluate(GROUP, few, {}, now=at(15))
    assert api.concluded == {"p0": 1}
    await fleet.stop()


async def test_what_a_tick_did_not_wait_for_is_concluded_once_as_it_was_at_the_newest_tick(fleet):
    fleet, all_of_them, api = fleet
    api.quick.set()
    await fleet.evaluate(GROUP, all_of_them, {}, now=at(0))
    assert len(api.concluded) < MANY, "the tick has ended before all were concluded"
    await api.has_concluded(MANY)
    assert set(api.concluded.values()) == {1}
    await fleet.stop()


async def test_a_newer_tick_replaces_what_still_waits(fleet):
    fleet, all_of_them, api = fleet
    fleet._backlog.put(all_of_them, None, now=at(0))
    fleet._backlog.put(all_of_them, None, now=at(15))
    api.quick.set()
    await api.has_concluded(MANY)
    assert set(api.moments.values()) == {at(15)}
    assert set(api.concluded.values()) == {1}
    await fleet.stop()


async def test_the_ticks_after_a_storm_see_who_else_breaches(fleet):
    fleet, all_of_them, api = fleet
    storm, late = all_of_them[:-1], all_of_them[-1:]
    api.breached = {p.ref.name for p in all_of_them}
    ended = asyncio.Event()

    class Storm(SlowApiServer):
        async def conclude(self, policy, around, *, now):
            await ended.wait()
            await api.conclude(policy, around, now=now)

    fleet._backlog._evaluator = Storm()
    async with asyncio.timeout(30):
        await fleet.evaluate(GROUP, storm, {}, now=at(0))
        await fleet.evaluate(GROUP, late, {}, now=at(15))
        assert len(api.concluded) == 51
        ended.set()
        await api.has_concluded(MANY)
    assert set(api.concluded.values()) == {1}
    await fleet.stop()


async def test_in_a_storm_quiet_policies_stand_behind_the_breaches(fleet):
    fleet, all_of_them, api = fleet
    api.breached = {p.ref.name for p in all_of_them[:60]}
    async with asyncio.timeout(30):
        await fleet.evaluate(GROUP, all_of_them[:100], {}, now=at(0))
        await api.has_concluded(60)
    assert set(api.concluded) == api.breached
    await fleet.stop()


async def test_the_breaches_that_a_tick_does_not_wait_for_wait_for_no_tick(fleet):
    fleet, all_of_them, api = fleet
    api.breached = {p.ref.name for p in all_of_them}

    class Slow(SlowApiServer):
        measure = api.measure

        async def conclude(self, policy, around, *, now):
            await api.quick.wait()

    fleet._evaluator = Slow()
    async with asyncio.timeout(30):
        tick = asyncio.create_task(fleet.evaluate(GROUP, all_of_them, {}, now=at(15)))
        await api.has_concluded(MANY - 50)
        assert not tick.done()
        api.quick.set()
        await tick
    await fleet.stop()


async def test_a_policy_whose_answer_takes_long_delays_the_measuring_of_no_other(fleet):
    fleet, all_of_them, api = fleet
    slow, other = all_of_them[:2]
    api.breached = {slow.ref.name, other.ref.name}
    async with asyncio.timeout(30), slow.evaluating:
        await fleet.evaluate(GROUP, [slow, other], {}, now=at(15))
    assert api.concluded == {other.ref.name: 1}

    await fleet.evaluate(GROUP, [slow, other], {}, now=at(30))
    assert api.moments == {slow.ref.name: at(30), other.ref.name: at(30)}


def test_a_breach_that_has_its_answer_waits_for_none(fleet):
    policy = fleet[1][0]
    policy.memories = {"t": TriggerMemory("Breached", since=at(0), observed_at=at(0))}
    waiting = is_quiet(policy)
    policy.memories = {"t": TriggerMemory("Breached", since=at(0), observed_at=at(0), consumed_by="rb")}

    assert (waiting, is_quiet(policy)) == (False, True)
