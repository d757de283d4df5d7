"""The accuracy window: what counts, for whom, and when there is no value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_server.quality import AccuracyWindow, AwaitingLabels, Prediction


@given(outcomes=st.lists(st.booleans(), max_size=60), size=st.integers(1, 20), data=st.data())
def test_accuracy_is_the_share_of_right_answers_among_the_latest(outcomes, size, data):
    minimum = data.draw(st.integers(1, size))
    window = AccuracyWindow(size, minimum)
    for outcome in outcomes:
        window.add(correct=outcome)

    latest = outcomes[-size:]
    expected = sum(latest) / len(latest) if len(latest) >= minimum else None
    assert window.read() == (len(latest), expected)


@pytest.mark.parametrize(("size", "minimum"), [(10, 0), (10, 11), (0, 0)])
def test_a_window_that_could_never_have_an_honest_value_is_refused(size, minimum):
    with pytest.raises(ValueError, match="minimum must be between 1 and"):
        AccuracyWindow(size, minimum)


def test_a_late_label_counts_for_the_release_that_made_the_prediction():
    old, new = AccuracyWindow(10, 1), AccuracyWindow(10, 1)
    awaiting = AwaitingLabels(limit=10)
    awaiting.remember("a", Prediction(7, old))
    awaiting.remember("b", Prediction(7, new))

    assert awaiting.settle("b", 7) is True
    assert awaiting.settle("a", 3) is False
    assert old.read() == (1, 0.0)
    assert new.read() == (1, 1.0)


def test_a_label_counts_once():
    window = AccuracyWindow(10, 1)
    awaiting = AwaitingLabels(limit=10)
    awaiting.remember("a", Prediction(7, window))

    assert awaiting.settle("a", 7) is True
    assert awaiting.settle("a", 7) is None
    assert window.read() == (1, 1.0)


def test_predictions_whose_label_never_comes_are_forgotten_oldest_first():
    window = AccuracyWindow(10, 1)
    awaiting = AwaitingLabels(limit=2)
    for request_id in ("a", "b", "c"):
        awaiting.remember(request_id, Prediction(7, window))

    assert awaiting.settle("a", 7) is None
    assert awaiting.settle("b", 7) is True
    assert awaiting.settle("c", 7) is True
