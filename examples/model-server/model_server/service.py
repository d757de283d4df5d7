"""The model service without its transport: which release serves, predictions, labels, metrics."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from model_server.classifier import FEATURES, ModelFile, ModelFileError, load
from model_server.quality import AccuracyWindow, AwaitingLabels, Prediction

log = logging.getLogger(__name__)

_LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class BadRequestError(Exception):
    """The client's request cannot be answered; the message says what to send instead."""


class UnknownRequestError(Exception):
    """A label came for a request that nobody made, or whose label was already given."""


class NotServingError(Exception):
    """No release serves at the moment."""


@dataclass(frozen=True)
class Release:
    """One deployment of one version: its model and the window of its own labelled predictions.

    Each release has a new window, so the exported accuracy never mixes two models; labels that arrive late for
    an earlier release go to that release's window.
    """

    version: str
    model: ModelFile
    window: AccuracyWindow


class PredictionService:
    """Serves one release at a time, thread-safe.

    name: the `model` label of all metrics. window, minimum: see AccuracyWindow, in labelled predictions.
    """

    def __init__(self, name: str, models: Path, *, window: int = 200, minimum: int = 100) -> None:
        self._name = name
        self._models = models
        self._window, self._minimum = window, minimum
        self._release: Release | None = None
        self._awaiting = AwaitingLabels(limit=10_000)
        self._metrics = _Metrics(self)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    @property
    def release(self) -> Release | None:
        """What serves now; None before the first version and after `serve(None)`."""
        return self._release

    def serve(self, version: str | None) -> None:
        """Switch to `version`, or out of service with None. The version that serves already stays as it is.

        A version whose file cannot be loaded changes nothing: what served goes on, as old pods do when new ones
        do not start. The reason is logged.
        """
        serving = self._release
        if version == (serving.version if serving else None):
            return
        if version is None:
            self._release = None
            log.warning("out of service: no version is ready")
            return
        try:
            model = load(self._models, version)
        except ModelFileError as error:
            log.error(
                "cannot serve %s, %s goes on: %s", version, serving.version if serving else "nothing", error
            )
            return
        self._release = Release(version, model, AccuracyWindow(self._window, self._minimum))
        log.info("serving %s (model file sha256 %s)", version, model.digest[:12])

    def predict(self, body: Any) -> dict[str, Any]:
        """Answer `{"features": [64 numbers]}` with request_id, prediction and model_version.

        Raises BadRequestError or NotServingError.
        """
        release = self._release
        if release is None:
            raise NotServingError
        started = time.perf_counter()
        label = int(release.model.classifier.predict(_features(body))[0])
        request_id = uuid.uuid4().hex
        self._awaiting.remember(request_id, Prediction(label, release.window))
        self._metrics.latency.labels(self._name, release.version).observe(time.perf_counter() - started)
        return {"request_id": request_id, "prediction": label, "model_version": release.version}

    def feedback(self, body: Any) -> dict[str, Any]:
        """Take `{"request_id": …, "label": 7}`: what the image of an earlier request really showed.

        Raises BadRequestError or UnknownRequestError.
        """
        match body:
            case {"request_id": str(request_id), "label": int(label)} if not isinstance(label, bool):
                correct = self._awaiting.settle(request_id, label)
            case _:
                raise BadRequestError('send {"request_id": "<from the prediction>", "label": <integer>}')
        if correct is None:
            raise UnknownRequestError(f"request {request_id!r} is unknown, forgotten or already labelled")
        return {"correct": correct}

    def count(self, status: int, version: str | None) -> None:
        """Count one prediction request answered with this HTTP status; from 500 on it is an error of ours.

        `version` is the one that answered; without an answer, the one that serves (empty: none) is counted.
        """
        if version is None:
            version = self._release.version if self._release else ""
        self._metrics.requests.labels(self._name, version, str(status)).inc()
        errors = self._metrics.errors.labels(self._name, version)
        if status >= 500:
            errors.inc()

    def metrics(self) -> bytes:
        """The Prometheus text exposition of this moment."""
        return generate_latest(self._metrics.registry)


def _features(body: Any) -> NDArray[np.float64]:
    """[1, FEATURES] from a request body, or BadRequestError."""
    explanation = f'send {{"features": [{FEATURES} finite numbers]}}'
    values = body.get("features") if isinstance(body, dict) else None
    if not isinstance(values, list) or len(values) != FEATURES:
        raise BadRequestError(explanation)
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise BadRequestError(explanation)
    try:
        features = np.asarray([values], dtype=np.float64)
    except OverflowError as error:
        raise BadRequestError(explanation) from error
    if not np.isfinite(features).all():
        raise BadRequestError(explanation)
    return features


class _Metrics(Collector):
    """The registry of one service. Quality is read from the serving release's window at each scrape."""

    def __init__(self, service: PredictionService) -> None:
        disable_created_metrics()
        self._service = service
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "requests", "Prediction requests answered.", ["model", "version", "code"], registry=self.registry
        )
        self.errors = Counter(
            "request_errors",
            "Prediction requests that failed on the server's side.",
            ["model", "version"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "request_predict_seconds",
            "Time to answer a prediction, in seconds.",
            ["model", "version"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Metrics of the serving release only: after a switch the old release's series end."""
        release = self._service.release
        if release is None:
            return
        count, accuracy = release.window.read()
        labels = [self._service.name, release.version]
        info = InfoMetricFamily("model_file", "The model file that serves.", labels=["model", "version"])
        info.add_metric(labels, {"sha256": release.model.digest})
        yield info
        samples = GaugeMetricFamily(
            "model_quality_samples", "Labelled predictions in the window.", labels=["model", "version"]
        )
        samples.add_metric(labels, count)
        yield samples
        if accuracy is not None:
            quality = GaugeMetricFamily(
                "model_quality",
                "Quality of the latest labelled predictions of the serving release.",
                labels=["metric", "model", "version"],
            )
            quality.add_metric(["accuracy", *labels], accuracy)
            yield quality
