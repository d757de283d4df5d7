"""The README's first example, extracted from the README, with every duration as written there.

Nobody waits for it: the clock is an adapter, and the hour that the example needs lies in the past, where Prometheus
gets its history from. The API server, the Deployment's rollouts and Prometheus are real and take their own time.
"""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_rollback import telemetry
from model_rollback.app import App
from model_rollback.core.machine import Phase
from model_rollback.core.phase import next_tick
from model_rollback.settings import Settings
from tests.scenario import systems
from tests.support import places
from tests.support.commands import Kubectl
from tests.support.operator import SERVICE_ACCOUNT, Operators
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

INTERVAL = timedelta(seconds=15)
SETTLE = timedelta(minutes=1)
AFTER_THE_SAMPLE = timedelta(seconds=1)
LABELS = {"metric": "accuracy", "model": "recommender"}
LAST_EVALUATION = "model_rollback_last_evaluation_timestamp_seconds"


class VirtualClock:
    """A clock that stands still until the test moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._moved = asyncio.Condition()

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._now >= moment)

    async def move_to(self, moment: datetime) -> None:
        async with self._moved:
            self._now = moment
            self._moved.notify_all()


class Story:
    """The example's namespace, its metric, and an operator that lives in the past."""

    def __init__(
        self, app: App, clock: VirtualClock, kubectl: Kubectl, namespace: str, prometheus: Prometheus
    ) -> None:
        self.app = app
        self.clock = clock
        self._kubectl = kubectl
        self._namespace = namespace
        self._prometheus = prometheus

    async def tick(self, accuracy: float) -> None:
        """Moves the clock to shortly after the next sample, and lets the operator finish the tick of that sample.

        Which of these moments it ticks at is its own business: ticks are locked to the samples once it knows them.
        """
        moment = next_tick(self.clock.now(), INTERVAL)
        sample = (moment.timestamp(), accuracy)
        await asyncio.to_thread(self._prometheus.backfill, "model_quality", LABELS, [sample])
        await self.clock.move_to(moment + AFTER_THE_SAMPLE)
        async with asyncio.timeout(60):
            while not self._has_caught_up(moment):  # noqa: ASYNC110 - values of others, no event
                await asyncio.sleep(0.001)

    def _has_caught_up(self, moment: datetime) -> bool:
        """Whether the tick is done, and a Rollback under way waits for a later moment."""
        run = self.app.runtime.executor.active((self._namespace, "recommender"))
        waits = run is None or run.due is None or run.due > self.clock.now()
        last = telemetry.REGISTRY.get_sample_value(LAST_EVALUATION, {"source": "default"})
        return waits and last is not None and last >= moment.timestamp()

    async def tick_until(self, done: Callable[[], bool], limit: timedelta, *, accuracy: float) -> None:
        """Ticks until `done`; fails after `limit` of the operator's time."""
        deadline = self.clock.now() + limit
        while not done():
            assert self.clock.now() < deadline, f"not within {limit}"
            await self.tick(accuracy)

    async def get(self, kind: str) -> list[dict[str, Any]]:
        found = await asyncio.to_thread(self._kubectl.json, "get", kind, namespace=self._namespace)
        return list(found["items"])

    async def apply(self, manifest: Any) -> None:
        await asyncio.to_thread(self._kubectl.apply, manifest, namespace=self._namespace)

    async def seen(self, look: Callable[[], Any], describe: str) -> Any:
        """Waits in real time for what the cluster does in real time."""
        return await asyncio.to_thread(wait_until, look, 60, describe=describe)

    def status(self) -> Any:
        """The ModelDeployment's status as the operator last wrote it."""
        return self.app.runtime.store.systems[self._namespace, "recommender"].status

    async def validating(self) -> None:
        """Waits until the Rollback waits for its probes, and for nothing that the cluster does in its own time."""

        def waits() -> bool:
            run = self.app.runtime.executor.active((self._namespace, "recommender"))
            return (
                run is not None
                and run.phase is Phase.VALIDATING
                and run.due is not None
                and run.due - self.clock.now() <= SETTLE
            )

        await self.seen(waits, "the Rollback to be validating")

    async def live(self, version: str) -> None:
        """Waits until the operator has seen both objects, and that version live and ready."""
        store, key = self.app.runtime.store, (self._namespace, "recommender")

        def seen() -> bool:
            if key not in store.policies or key not in store.systems:
                return False
            status = self.status()
            return status.current_version == version and all(c.ready == "True" for c in status.components)

        await self.seen(seen, f"{version} to be live")


def example() -> str:
    """The first YAML block of the README."""
    text = (places.ROOT / "README.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_example_is_the_contract() -> None:
    kinds = [document["kind"] for document in yaml.safe_load_all(example())]

    assert kinds == ["ModelDeployment", "RollbackPolicy"]


async def test_the_example_as_written_rolls_back_and_validates(
    kubectl: Kubectl,
    namespace: str,
    prometheus: Prometheus,
    operators: Operators,
    service_account_kubeconfig: Callable[[str, str], Path],
) -> None:
    began = datetime.fromtimestamp(int(datetime.now(UTC).timestamp()) // 15 * 15, UTC) - timedelta(hours=2)
    clock = VirtualClock(began)
    settings = Settings(
        kubeconfig=service_account_kubeconfig(namespace, SERVICE_ACCOUNT),
        namespaces=(namespace,),
        metrics_sources={"default": {"url": prometheus.url}},
        http={"host": "127.0.0.1", "port": 0},
    )
    telemetry.LAST_EVALUATION.clear()  # other tests of this process evaluate at other times
    app = App(settings, clock=clock)
    running = asyncio.create_task(app.run())
    try:
        await asyncio.wait_for(app.started.wait(), 30)
        story = Story(app, clock, kubectl, namespace, prometheus)
        await play(story)
    finally:
        app.stop()
        await asyncio.wait_for(running, 30)


async def play(story: Story) -> None:
    """v12 earns its name, v13 is worse, v12 comes back."""
    began = story.clock.now()
    await story.apply(systems.deployment("v12"))
    await story.apply(example())
    await story.live("v12")
    await story.tick_until(
        lambda: story.status().last_verified_version == "v12", timedelta(hours=1), accuracy=0.95
    )
    verified_after = story.clock.now() - began
    assert verified_after >= timedelta(minutes=32), "two minutes to be recorded and thirty to be Verified"

    await story.apply(systems.deployment("v13"))
    await story.live("v13")
    deployed = story.clock.now()
    await story.tick_until(lambda: story.status().active_rollback != "", timedelta(minutes=4), accuracy=0.85)
    assert story.clock.now() - deployed >= timedelta(minutes=2), "it must be bad for two minutes"

    await story.live("v12")
    await story.validating()
    await story.tick_until(lambda: story.status().active_rollback == "", timedelta(minutes=10), accuracy=0.95)

    (rollback,) = await story.get("rollbacks")
    status = rollback["status"]
    assert status["result"] == "Succeeded"
    assert (status["fromVersion"], status["toVersion"]) == ("v13", "v12")
    assert status["procedure"]["settle"] == "1m"
    validated = datetime.fromisoformat(status["timeline"]["validatedAt"])
    reverted = datetime.fromisoformat(status["timeline"]["revertedAt"])
    assert validated - reverted >= timedelta(minutes=6), "a minute to settle and five of passing probes"
