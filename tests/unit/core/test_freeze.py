"""Freeze windows: when one is open and when it ends, across daylight saving too."""

from datetime import UTC, datetime

import pytest

from model_rollback.api.v1alpha1.guards import FreezeWindow
from model_rollback.core.freeze import frozen


def window(schedule, duration, time_zone="UTC"):
    return FreezeWindow(schedule=schedule, duration=duration, time_zone=time_zone)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


CHRISTMAS = window("0 0 24 12 *", "48h", "Europe/London")
WEEKEND = window("0 18 * * FRI", "62h", "Europe/Berlin")
NIGHT = window("30 1 * * *", "2h", "Europe/London")
SHORT_NIGHT = window("30 1 * * *", "10m", "Europe/London")
BERLIN_NIGHT = window("30 2 * * *", "2h", "Europe/Berlin")

OPEN = {
    "at its first second": (CHRISTMAS, "2026-12-24T00:00:00", "2026-12-26T00:00:00"),
    "in its last second": (CHRISTMAS, "2026-12-25T23:59:59.999", "2026-12-26T00:00:00"),
    "it began in the zone's own morning": (WEEKEND, "2026-07-03T16:00:00", "2026-07-06T06:00:00"),
    "and in winter an hour later in UTC": (WEEKEND, "2026-01-09T17:00:00", "2026-01-12T07:00:00"),
    "it lasts elapsed time, not the clock's, over a change": (
        WEEKEND,
        "2026-03-28T12:00:00",
        "2026-03-30T07:00:00",
    ),
    "London springs over 1:30: it begins at 2:00 there": (
        NIGHT,
        "2026-03-29T01:00:00",
        "2026-03-29T03:00:00",
    ),
    "London falls back: the first 1:30": (NIGHT, "2026-10-25T00:30:00", "2026-10-25T02:30:00"),
    "Berlin springs over 2:30: it begins at 3:00 there": (
        BERLIN_NIGHT,
        "2026-03-29T01:00:00",
        "2026-03-29T03:00:00",
    ),
    "Berlin falls back: the first 2:30": (BERLIN_NIGHT, "2026-10-25T00:30:00", "2026-10-25T02:30:00"),
}


@pytest.mark.parametrize("case", OPEN)
def test_open_and_until_when(case):
    freeze, now, until = OPEN[case]

    assert frozen([freeze], utc(now)) == (freeze, utc(until))
    assert frozen([freeze], utc(until)) is None


SHUT = {
    "a second before": (CHRISTMAS, "2026-12-23T23:59:59"),
    "when it ends": (CHRISTMAS, "2026-12-26T00:00:00"),
    "the zone's midnight is not UTC's": (window("0 0 24 12 *", "1h", "Asia/Tokyo"), "2026-12-24T00:00:00"),
    "before London has jumped": (NIGHT, "2026-03-29T00:59:59"),
    "London falls back: the second 1:30 begins none": (SHORT_NIGHT, "2026-10-25T01:30:00"),
    "it has begun only in years with a 29 February": (window("0 0 29 2 *", "24h"), "2027-03-01T00:00:00"),
}  # fmt: skip


@pytest.mark.parametrize("case", SHUT)
def test_not_open(case):
    freeze, now = SHUT[case]

    assert frozen([freeze], utc(now)) is None


def test_windows_that_touch_each_other_are_one():
    first, second = window("0 8 * * *", "2h"), window("0 10 * * *", "2h")

    assert frozen([second, first], utc("2026-01-05T09:00:00")) == (first, utc("2026-01-05T12:00:00"))


def test_a_window_inside_another_does_not_end_it():
    outer, inner = window("0 8 * * *", "4h"), window("0 9 * * *", "1h")

    assert frozen([inner, outer], utc("2026-01-05T09:30:00")) == (outer, utc("2026-01-05T12:00:00"))


def test_a_window_without_end_says_to_look_again_much_later():
    always = window("0 * * * *", "2h")

    open_window, until = frozen([always], utc("2026-01-05T09:30:00")) or (None, None)

    assert open_window == always
    assert until is not None
    assert until > utc("2026-01-06T00:00:00")


def test_nothing_is_frozen_without_windows():
    assert frozen([], utc("2026-01-05T09:00:00")) is None


SCHEDULES = (
    "0 0 32 1 *",
    "61 0 * * *",
    "0 0 * * FRY",
    "0 0 30 2 *",
    "0 0 5-3 * *",
    "*/0 * * * *",
    "0 0 * * 5#6",
)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_that_is_none_is_refused_with_its_text(schedule):
    """Beyond what the API server can tell by the pattern: the policy gets InvalidSpec."""
    with pytest.raises(ValueError, match="schedule") as refusal:
        window(schedule, "1h")
    assert schedule in str(refusal.value)


@pytest.mark.parametrize("zone", ["Europe/Londn", "Mars/Olympus", "..", "Local"])
def test_a_time_zone_that_is_none_is_refused(zone):
    with pytest.raises(ValueError, match=r"timeZone|time_zone"):
        FreezeWindow.model_validate({"schedule": "0 0 * * *", "duration": "1h", "timeZone": zone})
