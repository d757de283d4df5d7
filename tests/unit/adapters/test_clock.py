"""The system clock; the only adapter that is slow by nature, so the waits are tiny and bounded from below only."""

from datetime import UTC, datetime, timedelta

from model_rollback.adapters.clock import SystemClock


def test_now_is_aware_and_in_utc():
    assert SystemClock().now().tzinfo is UTC


async def test_a_moment_in_the_past_is_waited_for_no_longer():
    await SystemClock().sleep_until(datetime(2020, 1, 1, tzinfo=UTC))
    assert SystemClock().now() > datetime(2020, 1, 1, tzinfo=UTC)


async def test_it_returns_at_the_moment_and_not_before():
    clock = SystemClock()
    moment = clock.now() + timedelta(milliseconds=30)
    await clock.sleep_until(moment)
    assert clock.now() >= moment


async def test_a_clock_that_was_set_back_during_the_sleep_is_read_again():
    """Guard: the loop; one long sleep would return before `moment` by the new time."""
    moment = datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC)
    times = [moment - timedelta(milliseconds=5), moment - timedelta(milliseconds=5), moment]

    class SetBack(SystemClock):
        def now(self) -> datetime:
            return times.pop(0)

    await SetBack().sleep_until(moment)
    assert times == []
