"""Accuracy over a sliding window, and the predictions that still wait for their label. No I/O, no clock."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass


class AccuracyWindow:
    """Accuracy of the last `size` labelled predictions of one release.

    Below `minimum` of them there is no value: a share of a handful of answers is noise, and on a rollback metric
    noise is worse than no data, which a policy holds.
    """

    def __init__(self, size: int, minimum: int) -> None:
        if not 1 <= minimum <= size:
            raise ValueError(f"minimum must be between 1 and the window's size {size}, got {minimum}")
        self._minimum = minimum
        self._outcomes: deque[bool] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, *, correct: bool) -> None:
        """Count one labelled prediction; the oldest falls out of a full window."""
        with self._lock:
            self._outcomes.append(correct)

    def read(self) -> tuple[int, float | None]:
        """(labelled predictions in the window, share of right ones or None below the minimum)."""
        with self._lock:
            count = len(self._outcomes)
            return count, sum(self._outcomes) / count if count >= self._minimum else None


@dataclass(frozen=True)
class Prediction:
    """One answer given to a client; `window` is the window of the release that gave it."""

    label: int
    window: AccuracyWindow


class AwaitingLabels:
    """Predictions by request id until their label arrives; the oldest are forgotten beyond `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._predictions: OrderedDict[str, Prediction] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, request_id: str, prediction: Prediction) -> None:
        """Keep a prediction for its label."""
        with self._lock:
            self._predictions[request_id] = prediction
            while len(self._predictions) > self._limit:
                self._predictions.popitem(last=False)

    def settle(self, request_id: str, label: int) -> bool | None:
        """Count the prediction in the window of the release that made it, once.

        Answers whether it was right; None when the request is unknown, forgotten or already labelled.
        """
        with self._lock:
            prediction = self._predictions.pop(request_id, None)
        if prediction is None:
            return None
        correct = prediction.label == label
        prediction.window.add(correct=correct)
        return correct
