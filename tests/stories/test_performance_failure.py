"""Story 1: users click less after a deploy; from the breach to the finished record and the lessons in it."""

from collections.abc import Iterator

import pytest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from tests.scenario.world import World, is_
from tests.stories.telling import path, read
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

STORY = "performance-failure"
MANY, FEW = 0.061, 0.031


class Requests:
    """Ten requests at each scrape."""

    def __init__(self) -> None:
        self._count = 0

    def collect(self) -> Iterator[Metric]:
        self._count += 10
        family = CounterMetricFamily("recommender_requests", "answered", labels=["model"])
        family.add_metric(["recommender"], self._count)
        yield family


def test_engagement_drops_after_a_deploy(stage: World, operators: Operators) -> None:
    clicks = stage.exporter.gauge("recommender_click_ratio", labels=["model"])
    clicks.labels("recommender").set(MANY)
    stage.exporter.registry.register(Requests())
    stage.apply(*read(STORY, "recommender-v12.yaml", "system.yaml"))
    operators.start()
    stage.wait_for_version("v12", verified=True)

    stage.apply(*read(STORY, "recommender-v13.yaml"))
    stage.wait_for_version("v13")
    clicks.labels("recommender").set(FEW)
    stage.wait_for_image("v12")
    clicks.labels("recommender").set(MANY)
    done = stage.wait_for_result()

    status = done["status"]
    assert (status["result"], status["fromVersion"], status["toVersion"]) == ("Succeeded", "v13", "v12")
    evidence = {e["trigger"]: e for e in status["evidence"]}
    assert list(evidence) == ["engagement"], "the trigger that only notifies starts nothing"
    assert (evidence["engagement"]["value"], evidence["engagement"]["baseline"]) == ("0.031", "0.061")
    assert {p["probe"]: p["state"] for p in status["validation"]} == {
        "ready": "Passed",
        "recovered": "Passed",
        "clicks": "Passed",
    }
    stage.wait_for_event("TriggerBreached")
    _learn(stage, done["metadata"]["name"])


def _learn(stage: World, name: str) -> None:
    """The lessons go into the record, and the record says when they are complete."""
    review = path(STORY, "review.yaml")
    stage.kubectl(
        "patch", "rollback", name, "--type=merge", f"--patch-file={review}", namespace=stage.namespace
    )
    said = wait_until(
        lambda: stage.condition("rollback", "Reviewed", name),
        accept=is_("True", "Reviewed"),
        describe="the review to be complete",
    )
    assert said["message"] == "1 learnings, 1 improvements, 1 of them open"
