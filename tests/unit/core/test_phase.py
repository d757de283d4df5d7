"""Phase-locked ticks: where the samples land decides, and only when they land together."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.core.phase import EPOCH, FIRST_MARGIN, Age, Lock, common_phase, learn, next_tick

TICK = datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC)
INTERVAL = timedelta(seconds=5)


def ages(*seconds: float, series: int = 1) -> list[Age]:
    return [Age(timedelta(seconds=s), series) for s in seconds]


@pytest.mark.parametrize(
    ("found", "want"),
    [
        pytest.param(ages(2.0, series=100), 3.0, id="all at one moment"),
        pytest.param(ages(2.0, 2.04), 3.0, id="close together: the last of them"),
        pytest.param(ages(0.02, 4.98), 0.02, id="on both sides of the interval's end"),
        pytest.param([*ages(1.0, series=95), *ages(3.0, series=5)], 4.0, id="stragglers do not count"),
        pytest.param(ages(1.0, 3.0), None, id="at two moments"),
        pytest.param(ages(2.0, 7.0, 12.0), 3.0, id="older ones of the same phase"),
        pytest.param([], None, id="no samples"),
    ],
)
def test_the_common_phase(found: list[Age], want: float | None) -> None:
    phase = common_phase(found, TICK, INTERVAL)
    if want is None:
        assert phase is None
    else:
        assert phase is not None
        assert phase.total_seconds() == pytest.approx(want)


def twice(lock: Lock, found: list[Age]) -> Lock:
    for _ in range(2):
        lock = learn(lock, found, found, TICK, INTERVAL)
    return lock


def test_two_looks_that_agree_lock_just_after_the_samples() -> None:
    once = learn(Lock(), ages(2.0), ages(2.0), TICK, INTERVAL)
    assert not once.locked
    assert once.look_is_due
    locked = learn(once, ages(2.0), ages(2.0), TICK, INTERVAL)
    assert locked.locked
    assert locked.offset == timedelta(seconds=3) + FIRST_MARGIN


def test_a_new_moment_is_watched_for_some_ticks_because_it_may_be_too_early() -> None:
    lock = twice(Lock(), ages(2.0))
    for _ in range(4):
        assert lock.look_is_due
        lock = learn(lock, ages(2.0), ages(2.0), TICK, INTERVAL)
    assert not lock.look_is_due

    tick = next_tick(TICK, INTERVAL, lock.offset)
    assert learn(lock, ages(5.015), ages(0.015), tick, INTERVAL).look_is_due


def test_looks_that_disagree_lock_nothing_and_become_seldom() -> None:
    lock = Lock()
    for look in range(4):
        assert lock.look_is_due
        found = ages(1.0 + 2 * (look % 2))
        lock = learn(lock, found, found, TICK, INTERVAL)
    assert not lock.locked
    assert not lock.look_is_due
    for _ in range(30):
        lock = lock.ticked()
    assert lock.look_is_due


def test_a_sample_that_became_visible_after_its_tick_widens_the_margin() -> None:
    locked = twice(Lock(), ages(2.0))
    tick = next_tick(TICK, INTERVAL, locked.offset)
    wider = learn(locked, ages(5.015), ages(0.015), tick, INTERVAL)
    assert wider.margin == 2 * FIRST_MARGIN
    assert wider.offset == locked.offset + FIRST_MARGIN


def test_a_margin_that_grows_too_wide_frees_the_ticks() -> None:
    lock = twice(Lock(), ages(2.0))
    for _ in range(10):
        if not lock.locked:
            break
        tick = next_tick(TICK, INTERVAL, lock.offset)
        age = lock.margin.total_seconds()
        lock = learn(lock, ages(5 + age), ages(age), tick, INTERVAL)
    assert not lock.locked
    assert lock.offset == timedelta(0)


def test_samples_that_stop_free_the_ticks() -> None:
    assert not learn(twice(Lock(), ages(2.0)), [], [], TICK, INTERVAL).locked


def test_a_phase_measured_anew_moves_nothing() -> None:
    locked = twice(Lock(), ages(2.0))
    assert learn(locked, ages(2.005), ages(2.005), TICK, INTERVAL).offset == locked.offset


@given(
    after=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),  # noqa: DTZ001
    interval=st.integers(1, 3600).map(lambda s: timedelta(seconds=s)),
    offset=st.integers(0, 10_000).map(lambda ms: timedelta(milliseconds=ms)),
)
def test_the_next_tick_is_the_first_later_moment_of_the_phase(
    after: datetime, interval: timedelta, offset: timedelta
) -> None:
    tick = next_tick(after, interval, offset)
    assert after < tick <= after + interval
    assert (tick - EPOCH - offset) % interval == timedelta(0)


@given(
    phase=st.floats(0, 4.999),
    scatter=st.lists(st.floats(0, 0.05), min_size=1, max_size=20),
    turns=st.integers(0, 3),
)
def test_a_locked_tick_is_after_every_sample_that_lands_together(
    phase: float, scatter: list[float], turns: int
) -> None:
    samples = [EPOCH + timedelta(seconds=1e9 + phase + s) for s in scatter]
    tick = next_tick(max(samples), INTERVAL) + turns * INTERVAL
    found = [Age(tick - s, 1) for s in samples]
    lock = Lock()
    for _ in range(2):
        lock = learn(lock, found, found, tick, INTERVAL)
    assert lock.locked
    following = next_tick(max(samples), INTERVAL, lock.offset)
    assert timedelta(0) < following - max(samples) <= FIRST_MARGIN + timedelta(milliseconds=2)
