"""The model's quality as it follows from what is deployed: good for v12, bad for v13, in every namespace at once."""

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pykube
import requests
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from tests.kills.systems import COMPONENTS
from tests.scenario.world import BAD, GOOD

_LOOK_SECONDS = 0.3


class AccuracyOfWhatRuns:
    """A collector that reads the pod templates all the time, so a rollback and nothing else mends the metric.

    A scrape is answered from what was read last: one that waited for a busy API server would come too late.
    """

    def __init__(self, api: pykube.HTTPClient) -> None:
        self._api = api
        self._values: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="accuracy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def describe(self) -> Iterator[Metric]:
        """Names of this collector, so that registering it asks nobody."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for namespace, value in self._values.items():
            family.add_metric(["accuracy", namespace], value)
        yield family

    def _look_on(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            try:
                self._values = self._look()
            except requests.RequestException:
                continue

    def _look(self) -> dict[str, float]:
        only = {"fieldSelector": f"metadata.name={COMPONENTS['model']}"}
        answer = self._api.get(version="apps/v1", url="deployments", params=only, timeout=5)
        answer.raise_for_status()
        values = {}
        for deployment in answer.json()["items"]:
            image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
            if image.endswith((":v12", ":v13")):
                values[deployment["metadata"]["namespace"]] = GOOD if image.endswith(":v12") else BAD
        return values

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("model_quality", "Quality of the model.", labels=["metric", "namespace"])
