"""What is known for long is left out of collections once there is no more to come."""

import asyncio
import gc

import pytest

from model_rollback.garbage import Freezer


@pytest.fixture(autouse=True)
def _thaw():
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


async def test_a_fleet_that_is_being_read_is_not_walked_again_and_again():
    running = asyncio.create_task(Freezer(lambda: 0).run())
    await asyncio.sleep(0)
    before = gc.get_stats()[2]["collections"]
    kept = [{"name": str(n)} for n in range(300_000)]
    running.cancel()

    assert gc.get_stats()[2]["collections"] - before <= 1
    assert len(kept) == 300_000


def test_it_freezes_when_the_number_known_rests():
    known = iter([0, 0, 500, 10_000, 10_000, 10_000])
    freezer = Freezer(lambda: next(known))

    assert [freezer.look() for _ in range(6)] == [False, False, False, False, True, False]
    assert gc.get_freeze_count() > 0


def test_a_tenth_more_or_less_is_frozen_anew():
    known = iter([1000, 1000, 1100, 1100, 1101, 1101, 900, 900])
    freezer = Freezer(lambda: next(known))

    assert [freezer.look() for _ in range(8)] == [False, True, False, False, False, True, False, True]
