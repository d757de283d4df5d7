"""What is known for long is left out of collections once there is no more to come."""

import gc

import pytest

from model_rollback.garbage import Freezer


@pytest.fixture(autouse=True)
def _thaw():
    yield
    gc.unfreeze()


def test_it_freezes_when_the_number_known_rests():
    known = iter([0, 0, 500, 10_000, 10_000, 10_000])
    freezer = Freezer(lambda: next(known))

    assert [freezer.look() for _ in range(6)] == [False, False, False, False, True, False]
    assert gc.get_freeze_count() > 0


def test_a_tenth_more_or_less_is_frozen_anew():
    known = iter([1000, 1000, 1100, 1100, 1101, 1101, 900, 900])
    freezer = Freezer(lambda: next(known))

    assert [freezer.look() for _ in range(8)] == [False, True, False, False, False, True, False, True]
