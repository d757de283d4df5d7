"""What the demo tells of two looks, in words and in order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hack.demo.observing import Accuracy, Snapshot
from hack.demo.story import Happening, Storyteller

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
ROLLBACK = {
    "metadata": {"name": "recommender-7f3c2a91d0"},
    "spec": {"reason": "accuracy 0.75 < 0.90 for 5s"},
    "status": {
        "fromVersion": "v13",
        "toVersion": "v12",
        "timeline": {"detectedAt": "2026-01-05T10:00:09.000Z"},
    },
}


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def accuracy(version: str, value: float, seconds: float) -> Accuracy:
    return Accuracy(version, value, later(seconds))


def look(seconds: float, **seen: object) -> Snapshot:
    return replace(Snapshot(later(seconds), serving="v12"), **seen)


def rollback(**status: object) -> dict[str, object]:
    return ROLLBACK | {"status": ROLLBACK["status"] | status}


def told(*looks: Snapshot) -> list[Happening]:
    """Everything that is told of these looks, the first of which is known already."""
    story = Storyteller(looks[0], threshold=0.9)
    return [happening for each in looks[1:] for happening in story.tell(each)] + story.rest()


def trigger(state: str, seconds: float) -> dict[str, str]:
    return {"name": "accuracy", "state": state, "since": later(seconds).isoformat(), "message": "0.75 < 0.90"}


def probe(state: str, message: str) -> dict[str, str]:
    return {"probe": "answers", "state": state, "message": message, "at": later(20).isoformat()}


def condition(type_: str, message: str) -> dict[str, str]:
    return {"type": type_, "status": "True", "message": message}


def test_nothing_is_told_when_nothing_changes():
    same = look(1, accuracy=accuracy("v12", 0.96, 1), triggers=(trigger("Healthy", 0),), rollback=rollback())

    assert told(same, same, same) == []


@pytest.mark.parametrize(
    ("after", "words", "tone"),
    [
        pytest.param({"serving": "v13"}, "users are answered by v13", "plain", id="another version serves"),
        pytest.param({"serving": ""}, "users are answered by nobody", "plain", id="nobody serves"),
        pytest.param(
            {"accuracy": accuracy("v13", 0.75, 3)},
            "Prometheus: accuracy of v13 is 0.750, below 0.90",
            "bad",
            id="the accuracy fell",
        ),
        pytest.param(
            {"accuracy": accuracy("v13", 0.90, 3)},
            "Prometheus: accuracy of v13 is 0.900, not below 0.90",
            "good",
            id="the threshold itself is good",
        ),
        pytest.param(
            {"triggers": (trigger("Breached", 3),)},
            "trigger accuracy: Breached (0.75 < 0.90)",
            "bad",
            id="breached",
        ),
        pytest.param(
            {"rollback": ROLLBACK},
            "Rollback recommender-7f3c2a91d0 started: v13 → v12, because accuracy 0.75 < 0.90 for 5s",
            "plain",
            id="a rollback started",
        ),
    ],
)
def test_one_change_is_one_line(after, words, tone):
    (line,) = told(
        look(1, accuracy=accuracy("v12", 0.96, 1)), look(4, **{"accuracy": accuracy("v12", 0.96, 4), **after})
    )

    assert (line.text, line.tone) == (words, tone)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param(
            {"conditions": [condition("Halted", "revert-model: not done within stepTimeout")]},
            "the rollback is halted: revert-model: not done within stepTimeout",
            id="halted",
        ),
        pytest.param(
            {
                "result": "Superseded",
                "timeline": {"finishedAt": "2026-01-05T10:00:20Z"},
                "conditions": [condition("Complete", "model was deployed anew")],
            },
            "Rollback Superseded: model was deployed anew",
            id="ended without success",
        ),
        pytest.param(
            {"validation": [probe("Failed", "serves 'v13'")]},
            "probe answers: Failed (serves 'v13')",
            id="a probe failed",
        ),
    ],
)
def test_what_goes_wrong_with_the_rollback_is_told_as_bad(status, words):
    (line,) = told(look(19, rollback=ROLLBACK), look(21, rollback=rollback(**status)))

    assert (line.text, line.tone) == (words, "bad")


def test_missing_data_is_told_once_and_is_not_bad():
    seen = look(1, accuracy=accuracy("v12", 0.96, 1))

    (line,) = told(seen, look(2, serving="v12"), look(3, serving="v12"))

    assert line.text.startswith("Prometheus: no accuracy of v12 before 100 of its answers are labelled")
    assert line.tone == "plain"


def test_a_slow_fall_of_the_accuracy_is_told_in_steps():
    looks = [
        look(n, accuracy=accuracy("v12", value, n)) for n, value in enumerate([0.96, 0.955, 0.93, 0.92, 0.88])
    ]

    assert [line.text.split()[5] for line in told(*looks)] == ["0.930,", "0.880,"]


def test_what_a_later_look_shows_too_late_is_still_told_in_order():
    looks = [
        look(1, accuracy=accuracy("v12", 0.96, 1)),
        look(4, serving="v13", accuracy=accuracy("v12", 0.96, 4)),
        look(4.2, serving="v13", accuracy=accuracy("v12", 0.96, 4), triggers=(trigger("Breached", 3.9),)),
        look(9, serving="v13", accuracy=accuracy("v12", 0.96, 9), triggers=(trigger("Breached", 3.9),)),
    ]

    assert [line.at for line in told(*looks)] == [later(3.9), later(4)]


def test_lines_of_one_look_come_in_the_order_of_their_times():
    breach = look(
        10, accuracy=accuracy("v12", 0.75, 8), triggers=(trigger("Breached", 8.5),), rollback=ROLLBACK
    )

    lines = told(look(1, accuracy=accuracy("v12", 0.96, 1)), breach)

    assert [(line.at - START).total_seconds() for line in lines] == [8, 8.5, 9]
