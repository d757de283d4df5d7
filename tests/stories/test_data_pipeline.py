"""Story 3: an update of the data pipeline fails; its configuration goes back and the data is processed again."""

from typing import Any

import pytest

from tests.scenario.world import World
from tests.stories.telling import read
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

STORY = "data-pipeline"
LABELS = "build-features"


def test_an_update_of_the_pipeline_loses_rows(stage: World, operators: Operators) -> None:
    complete = stage.exporter.gauge("feature_completeness_ratio", labels=["pipeline"])
    rows = stage.exporter.gauge("feature_rows", labels=["pipeline"])
    complete.labels(LABELS).set(0.99)
    rows.labels(LABELS).set(1_200_000)
    stage.apply(*read(STORY, "ranker.yaml", "pipeline-good.yaml", "system.yaml"))
    operators.start()
    good = _verified(stage)
    assert good == "v7"

    stage.apply(*read(STORY, "pipeline-bad.yaml"))
    bad = wait_until(
        lambda: stage.status(name="ranker").get("currentVersion", ""),
        60,
        accept=lambda version: version not in {"", good},
        describe="the update to be seen",
    )
    assert bad.startswith("v7-"), "the model is the same, so its label is taken"
    complete.labels(LABELS).set(0.62)
    rows.labels(LABELS).set(700_000)

    (job,) = wait_until(lambda: _jobs(stage), 90, describe="the data to be processed again")
    assert _environment(job) == {"DATASET": "lakefs://shop/events@4f1c", "JOIN": "left"}
    complete.labels(LABELS).set(0.99)
    rows.labels(LABELS).set(1_200_000)
    status = stage.wait_for_result(timeout=90, name="ranker")["status"]

    assert (status["result"], status["fromVersion"], status["toVersion"]) == ("Succeeded", bad, "v7")
    assert [s["name"] for s in status["steps"]] == ["revert-features", "reprocess-features", "validate"]
    before, after = ({p["pin"]: p["value"] for p in status["steps"][0][key]} for key in ("before", "after"))
    assert before == {"dataset": "lakefs://shop/events@9b07", "join": "inner"}
    assert after == {"dataset": "lakefs://shop/events@4f1c", "join": "left"}
    assert status["evidence"][0]["value"] == "0.62"
    assert {p["probe"]: p["state"] for p in status["validation"]} == {
        "ready": "Passed",
        "complete-again": "Passed",
        "outputs": "Passed",
    }
    assert len(_jobs(stage)) == 1
    stage.wait_for_event("ReprocessingStarted")


def _verified(stage: World) -> str:
    def look() -> str:
        return str(stage.status(name="ranker").get("lastVerifiedVersion", ""))

    return wait_until(look, 60, describe="the first version to be Verified")


def _jobs(stage: World) -> list[Any]:
    return list(stage.kubectl.json("get", "jobs", namespace=stage.namespace)["items"])


def _environment(job: dict[str, Any]) -> dict[str, str]:
    containers = job["spec"]["template"]["spec"]["containers"]
    return {e["name"]: e["value"] for e in containers[0]["env"]}
