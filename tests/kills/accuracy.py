"""The model's quality as it follows from what is deployed: good for v12, bad for v13, in every namespace at once."""

from collections.abc import Iterator

import pykube
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from tests.kills.systems import COMPONENTS
from tests.scenario.world import BAD, GOOD


class AccuracyOfWhatRuns:
    """A collector: at each scrape it reads the pod templates, so a rollback and nothing else mends the metric."""

    def __init__(self, api: pykube.HTTPClient) -> None:
        self._api = api

    def describe(self) -> Iterator[Metric]:
        """Names of this collector, so that registering it asks nobody."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        only = {"fieldSelector": f"metadata.name={COMPONENTS['model']}"}
        answer = self._api.get(version="apps/v1", url="deployments", params=only, timeout=5)
        answer.raise_for_status()
        family = self._family()
        for deployment in answer.json()["items"]:
            image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
            if image.endswith((":v12", ":v13")):
                value = GOOD if image.endswith(":v12") else BAD
                family.add_metric(["accuracy", deployment["metadata"]["namespace"]], value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("model_quality", "Quality of the model.", labels=["metric", "namespace"])
