"""Kills at moments that a seed picks."""

import functools
import itertools
import random
from collections.abc import Callable

from tests.kills.faults import RandomKills
from tests.kills.trial import Succession

LONGEST_DELAY = 0.2
BOTH: tuple[Succession, Succession] = ("restart", "takeover")


def random_kills(seed: int, runs: int, requests: int, *, most: int) -> list[Callable[[], RandomKills]]:
    """One fault for each run, each of up to `most` kills, by turns with a restart and a takeover.

    `requests`: how many a clean run has.
    """
    chance = random.Random(seed)

    def moments() -> list[tuple[int, float]]:
        numbers = [chance.randint(1, requests) for _ in range(chance.randint(1, most))]
        return [(number, chance.uniform(0, LONGEST_DELAY)) for number in numbers]

    return [functools.partial(RandomKills, moments(), BOTH[number % 2]) for number in range(runs)]


def spread_kills(seed: int, runs: int, requests: int, *, each: int) -> list[Callable[[], RandomKills]]:
    """The same with exactly `each` kills in a run, spread over the requests that it has at least."""
    chance = random.Random(seed)

    def moments() -> list[tuple[int, float]]:
        numbers = sorted(chance.sample(range(1, requests), each))
        gaps = [after - before for before, after in itertools.pairwise([0, *numbers])]
        return [(gap, chance.uniform(0, LONGEST_DELAY)) for gap in gaps]

    return [functools.partial(RandomKills, moments(), BOTH[number % 2]) for number in range(runs)]
