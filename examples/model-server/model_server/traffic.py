"""`python -m model_server.traffic`: users of the model. Sends held-out images at a bounded rate, and each image's
true label a moment after its prediction, as clicks or returns arrive in real life.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from model_server.dataset import Labelled, load_labelled

_TIMEOUT = 5.0
_FAILURES = (OSError, http.client.HTTPException, ValueError)


class Client:
    """One kept-alive connection to the server; opened again after a failure."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT)

    def post(self, path: str, document: dict[str, Any]) -> dict[str, Any] | None:
        """The answer's JSON; None when there was no answer or its status is not 200."""
        try:
            self._connection.request("POST", path, json.dumps(document), {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except _FAILURES:
            self._connection.close()
            return None
        return answer if response.status == 200 else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass
class Tally:
    """What the users saw."""

    sent: int = 0
    failed: int = 0
    labelled: int = 0
    correct: int = 0


@dataclass(frozen=True)
class _Due:
    at: float
    request_id: str
    label: int


def images(held_out: Labelled, seed: int) -> Iterator[tuple[list[float], int]]:
    """Endless (features, label): all held-out images in a seeded order, again and again."""
    choice = random.Random(seed)
    order = list(range(len(held_out.labels)))
    while True:
        choice.shuffle(order)
        for index in order:
            yield held_out.features[index].tolist(), int(held_out.labels[index])


def stream(
    client: Client,
    held_out: Labelled,
    *,
    rate: float,
    label_delay: float = 0.2,
    count: int | None = None,
    seed: int = 0,
    log: TextIO | None = None,
    stop: threading.Event | None = None,
) -> Tally:
    """Send `count` predictions (endless with None) at `rate` per second, each label `label_delay` seconds later.

    `log` takes one JSON line per labelled prediction, in the order in which the server got the labels:
    request_id, model_version, prediction, label. When the server is slow the rate falls; requests never pile up.
    """
    stop = stop or threading.Event()
    tally, due = Tally(), deque[_Due]()
    answers: dict[str, dict[str, Any]] = {}
    source = images(held_out, seed)
    next_at = time.monotonic()
    while not stop.is_set() and (count is None or tally.sent < count):
        features, label = next(source)
        answer = client.post("/v1/predict", {"features": features})
        tally.sent += 1
        if answer is None:
            tally.failed += 1
        else:
            answers[answer["request_id"]] = answer
            due.append(_Due(time.monotonic() + label_delay, answer["request_id"], label))
        next_at = max(next_at + 1 / rate, time.monotonic())
        while due and due[0].at <= next_at:
            _give_label(client, due.popleft(), answers, tally, log)
        stop.wait(max(0.0, next_at - time.monotonic()))
    while due:
        _give_label(client, due.popleft(), answers, tally, log)
    return tally


def _give_label(
    client: Client, due: _Due, answers: dict[str, dict[str, Any]], tally: Tally, log: TextIO | None
) -> None:
    answer = answers.pop(due.request_id)
    verdict = client.post("/v1/feedback", {"request_id": due.request_id, "label": due.label})
    if verdict is None:
        return
    tally.labelled += 1
    tally.correct += verdict["correct"]
    if log:
        log.write(json.dumps({**answer, "label": due.label}) + "\n")
        log.flush()


def main() -> None:
    """Command line; ends on SIGTERM, SIGINT or after --count, and prints what the users saw."""
    parser = argparse.ArgumentParser(
        prog="model_server.traffic", description="labelled requests to a model server"
    )
    parser.add_argument("url", help="the server, for example http://127.0.0.1:8080")
    parser.add_argument("--held-out", type=Path, default=Path("artifacts/held-out.npz"))
    parser.add_argument("--rate", type=float, default=50.0, help="predictions per second")
    parser.add_argument(
        "--label-delay", type=float, default=0.2, help="seconds from a prediction to its label"
    )
    parser.add_argument("--count", type=int, help="stop after so many; default: never")
    parser.add_argument("--seed", type=int, default=0, help="order of the images")
    parser.add_argument("--log", type=Path, help="write labelled predictions here, one JSON line each")
    options = parser.parse_args()
    if options.rate <= 0:
        parser.error("--rate must be above 0")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with options.log.open("w") if options.log else nullcontext() as log:
        tally = stream(
            Client(options.url),
            load_labelled(options.held_out),
            rate=options.rate,
            label_delay=options.label_delay,
            count=options.count,
            seed=options.seed,
            log=log,
            stop=stop,
        )
    print(
        f"{tally.sent} requests, {tally.failed} failed, {tally.labelled} labelled, {tally.correct} right",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
