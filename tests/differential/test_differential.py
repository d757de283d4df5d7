"""A thousand triggers on a real Prometheus: shared questions and the core say what one query each and the page say."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.core.measure import measure
from model_rollback.core.questions import questions_of
from model_rollback.core.settling import settling
from model_rollback.core.triggers import TriggerMemory, advance
from model_rollback.engine.scheduler import ask_all
from model_rollback.errors import MetricsError
from tests.differential.reference import Asker, states
from tests.differential.stories import INTERVAL, TICKS, Series, Story, champion, stories
from tests.support import places
from tests.support.prometheus import Prometheus
from tests.support.prometheus_process import running_prometheus

pytestmark = pytest.mark.cluster

STORIES = 1000
SEED = 20260105
FAILING = {"flaky": {3, 4, 9}}
"""Query text → ticks at which the source does not answer it."""
STATES = ("Healthy", "Pending", "Breached", "NoData", "Error", "Stale", "LowTraffic", "Settling")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One of its own, so that nobody else's series come between."""
    folder = tmp_path_factory.mktemp("differential")
    with running_prometheus(places.binaries() / "prometheus", folder) as (url, configuration):
        client = Prometheus(url, configuration)
        yield client
        client.close()


class Unreliable(PrometheusSource):
    """Does not answer some questions at some ticks; counts the requests."""

    def __init__(self, url: str, start: datetime) -> None:
        super().__init__(SourceConfig(url, timeout=60.0, max_series=1_000_000))
        self._start = start
        self.asked = 0
        self.tick = 0

    async def query(self, text, at, *, within=None):
        self.asked += 1
        if self.tick in FAILING.get(text, ()):
            raise MetricsError("timeout", "no answer in time")
        return await super().query(text, at, within=within)


def write(prometheus: Prometheus, series: list[Series]) -> None:
    """All series in a few requests; returns when the last one can be queried."""
    for begin in range(0, len(series), 200):
        metrics = [
            {
                "name": one.metric,
                "gauge": {
                    "dataPoints": [
                        {
                            "timeUnixNano": str(round(at * 1000) * 1_000_000),
                            "asDouble": value if value[-1].isalpha() else float(value),
                            "attributes": [
                                {"key": k, "value": {"stringValue": v}} for k, v in one.labels.items()
                            ],
                        }
                        for at, value in one.points
                    ]
                },
            }
            for one in series[begin : begin + 200]
            if one.points
        ]
        answer = requests.post(
            f"{prometheus.url}/api/v1/otlp/v1/metrics",
            json={"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]},
            timeout=120,
        )
        assert answer.status_code == requests.codes.ok, answer.text


async def played(told: list[Story], source: Unreliable, start: datetime) -> list[list[str]]:
    """The states of each story, tick by tick, all stories together."""
    triggers = [Trigger.model_validate(s.trigger) for s in told]
    memories: list[TriggerMemory | None] = [None] * len(told)
    seen: list[list[str]] = [[] for _ in told]
    for tick in range(TICKS):
        source.tick = tick
        now = start + timedelta(seconds=tick * INTERVAL)
        asked = [
            questions_of(t, clock_runs=m is not None and m.clock_runs)
            for t, m in zip(triggers, memories, strict=True)
        ]
        answers = await ask_all({"default": source}, "default", (q for qs in asked for q in qs), now)
        for index, (story, trigger, questions) in enumerate(zip(told, triggers, asked, strict=True)):
            measured = measure(trigger, questions, answers, now=now)
            memory = advance(
                trigger,
                memories[index],
                measured,
                now=now,
                interval=timedelta(seconds=INTERVAL),
                settling=why_settling(story, now),
            )
            memories[index] = memory
            seen[index].append(memory.state)
    return seen


def why_settling(story: Story, now: datetime) -> str:
    if story.changed_at is None:
        return ""
    status = ModelDeploymentStatus(
        current_version="v13", current_since=datetime.fromtimestamp(story.changed_at, UTC)
    )
    return settling(status, warm_up=timedelta(seconds=story.warm_up), settle=timedelta(0), now=now)


async def test_shared_questions_say_what_one_query_for_each_policy_says(prometheus: Prometheus) -> None:
    begin = float(int(time.time()) // 60 * 60 - 3600)
    start = datetime.fromtimestamp(begin, UTC)
    told = list(stories(STORIES, begin, SEED))
    write(prometheus, [champion(begin), *(series for story in told for series in story.series)])

    source, asker = Unreliable(prometheus.url, start), Asker(prometheus.url, begin)
    try:
        seen = await played(told, source, start)
        expected = [states(story, asker, begin, FAILING) for story in told]
    finally:
        source.close()
        asker.close()

    differing = [
        (story, ours, theirs)
        for story, ours, theirs in zip(told, seen, expected, strict=True)
        if ours != theirs
    ]
    assert not differing, f"{len(differing)} of {STORIES} differ, e.g. {explain(*differing[0])}"
    counted = Counter(state for one in seen for state in one)
    assert {state: counted[state] for state in STATES if counted[state] < 20} == {}
    assert source.asked < 20 * TICKS, "a thousand policies share their requests"


def explain(story: Story, ours: list[str], theirs: list[str]) -> str:
    at = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    return f"{story.trigger}\nat tick {at}:\n{ours}\n{theirs}\n{list(story.series)}"
