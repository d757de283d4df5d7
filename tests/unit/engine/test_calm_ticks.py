"""What a tick of a calm fleet does not do: ask each policy anew, or ask a source twice."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from model_rollback.core.brake import BrakeRule
from model_rollback.core.calm import Calm
from model_rollback.engine.scheduler import Scheduler
from model_rollback.engine.store import Store
from model_rollback.ports import Answer
from tests.unit.core.builders import at

GROUP = ("default", timedelta(seconds=15))


class Source:
    """Counts what it is asked; `meanwhile` happens before it answers."""

    def __init__(self):
        self.asked = Counter()
        self.meanwhile = lambda: None

    async def query(self, text, at, *, within=None):
        self.asked[text] += 1
        await asyncio.sleep(0)
        self.meanwhile()
        return Answer(())


class Evaluator:
    """Counts the policies that it was asked about, and remembers whom it measured."""

    def __init__(self):
        self.looked, self.measured = 0, []

    def questions(self, policy, *, now):
        self.looked += 1
        return policy.questions

    def target_seen(self, policy, now):
        return None

    async def measure(self, policy, answers, *, now):
        self.measured.append(policy.ref.name)
        return False


def body(name, query, version="1"):
    trigger = {"name": "t", "query": query, "breach": {"operator": "LessThan", "threshold": "1"}}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": name,
            "resourceVersion": version,
            "generation": int(version),
        },
        "spec": {"modelDeploymentRef": {"name": name}, "triggers": [trigger]},
    }


class Place:
    """A scheduler with `count` policies that share `texts` queries."""

    def __init__(self, count, texts, *, calm):
        self.store, self.source, self.evaluator = Store(), Source(), Evaluator()
        for number in range(count):
            policy = self.store.put_policy(body(f"p{number}", f"up{number % texts}"))
            policy.recalled = True
            policy.calm = Calm((), (), at(10_000), at(0)) if calm else None
        self.scheduler = Scheduler(
            self.store, {"default": self.source}, self.evaluator, Clock(), BrakeRule(max_share=1)
        )

    async def tick(self):
        await self.scheduler._tick(GROUP, at(15), list(self.store.groups[GROUP].values()))
        await self.scheduler._phasing.stop()

    @property
    def asked(self):
        """Without the looks at when samples land."""
        return {text: count for text, count in self.source.asked.items() if text.startswith("up")}


class Clock:
    def now(self):
        return at(15)

    async def sleep_until(self, moment):
        await asyncio.Event().wait()


@pytest.mark.parametrize("texts", [1, 7, 500])
async def test_each_text_is_asked_once_and_no_calm_policy_is_asked_what_it_asks(texts):
    place = Place(500, texts, calm=True)
    await place.tick()

    assert place.asked == {f"up{n}": 1 for n in range(texts)}
    assert place.evaluator.looked == 0


async def test_policies_that_ask_the_same_share_their_questions():
    place = Place(500, 1, calm=True)

    assert len({id(policy.asked) for policy in place.store.policies.values()}) == 1


async def test_a_policy_that_is_not_calm_is_asked_at_each_tick():
    place = Place(10, 1, calm=False)
    await place.tick()

    assert place.evaluator.looked >= 10
    assert len(place.evaluator.measured) == 10


@pytest.mark.parametrize("calm", [True, False])
async def test_a_policy_that_was_edited_or_deleted_while_the_source_was_asked_is_left_to_the_next_tick(calm):
    place = Place(3, 1, calm=calm)

    def meanwhile():
        place.store.put_policy(body("p0", "another", version="2"))
        place.store.drop_policy(("shop", "p1"))

    place.source.meanwhile = meanwhile
    await place.tick()

    assert place.evaluator.measured == ["p2"]
