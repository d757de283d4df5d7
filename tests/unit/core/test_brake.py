"""The fleet brake: many policies at once mean broken metrics, few mean broken models."""

from datetime import timedelta

import pytest

from model_rollback.core.brake import NO_BRAKE, Brake, BrakeRule
from tests.unit.core.builders import at

RULE = BrakeRule(max_share=0.2, at_least=10, release_after=timedelta(minutes=5))


@pytest.mark.parametrize(
    ("turned", "policies", "engaged"),
    [
        pytest.param(9, 9, False, id="a small fleet never brakes"),
        pytest.param(10, 12, True, id="ten of twelve"),
        pytest.param(10, 50, False, id="exactly the share is not more than it"),
        pytest.param(11, 50, True, id="more than the share"),
        pytest.param(200, 1000, False, id="a fifth of a large fleet"),
        pytest.param(201, 1000, True, id="more than a fifth of a large fleet"),
        pytest.param(0, 1000, False, id="nothing happened"),
    ],
)
def test_when_it_engages(turned: int, policies: int, engaged: bool) -> None:
    assert (NO_BRAKE.after(turned, policies, RULE, now=at(0)).until is not None) is engaged


def test_it_counts_a_minute_over_several_ticks() -> None:
    brake = NO_BRAKE
    for tick in range(3):
        brake = brake.after(4, 20, RULE, now=at(15 * tick))
    assert brake.until == at(30) + RULE.release_after
    assert "12 of 20" in brake.share


def test_what_is_older_than_a_minute_counts_no_more() -> None:
    brake = NO_BRAKE.after(9, 20, RULE, now=at(0)).after(9, 20, RULE, now=at(60))
    assert brake.until is None


def test_it_is_released_and_what_waited_does_not_engage_it_again() -> None:
    engaged = NO_BRAKE.after(20, 20, RULE, now=at(0))
    assert engaged.after(0, 20, RULE, now=at(299)).until == at(300)
    released = engaged.after(0, 20, RULE, now=at(300))
    assert released == Brake(share=engaged.share)
    assert released.after(0, 20, RULE, now=at(315)).until is None


def test_it_can_be_switched_off() -> None:
    off = BrakeRule(max_share=1)
    engaged_by_all = NO_BRAKE.after(1000, 1000, off, now=at(0))
    assert engaged_by_all.until is None
    assert engaged_by_all.after(1, 1000, off, now=at(30)).until is None, "one of them turns once more"
