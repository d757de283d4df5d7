"""A review is complete with a root cause and a learning; only a finished Rollback is reviewed."""

import pytest

from model_rollback.api.conditions import find_condition
from model_rollback.api.v1alpha1.review import Review
from model_rollback.api.v1alpha1.rollback_record import RollbackStatus
from model_rollback.core.review import reviewed
from tests.unit.core.builders import at

FINISHED = RollbackStatus(result="Succeeded")
COMPLETE = {"rootCause": "a missing step", "learnings": ["look at skew"]}


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        pytest.param(COMPLETE, "True", "1 learnings, 0 improvements, 0 of them open", id="complete"),
        pytest.param({"rootCause": "x"}, "False", "spec.review lacks learnings", id="no learning"),
        pytest.param({"impact": "none"}, "False", "spec.review lacks rootCause and learnings", id="begun"),
        pytest.param({**COMPLETE, "rootCause": "  "}, "False", "spec.review lacks rootCause", id="blank"),
    ],
)
def test_when_a_review_is_complete(given, status, message) -> None:
    said = find_condition(reviewed(FINISHED, Review.model_validate(given), at=at(0)).conditions, "Reviewed")
    assert said is not None
    assert (said.status, said.message) == (status, message)


def test_nobody_said_anything() -> None:
    assert reviewed(FINISHED, None, at=at(0)) == FINISHED


def test_what_still_runs_is_not_reviewed() -> None:
    assert reviewed(RollbackStatus(), Review.model_validate(COMPLETE), at=at(0)) == RollbackStatus()


def test_saying_it_again_changes_nothing() -> None:
    once = reviewed(FINISHED, Review.model_validate(COMPLETE), at=at(0))
    assert reviewed(once, Review.model_validate(COMPLETE), at=at(60)) == once
