"""A model of one parameter, which its image was built with, behind HTTP.

It says whether a number is at least one half, by comparing it with MODEL_BOUNDARY. Its accuracy is computed from its
own answers: /metrics has it, /version says which version answers.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LABELLED = [(number / 100, number >= 50) for number in range(100)]


def predict(number: float) -> bool:
    """Whether the number is at least one half, as far as this version knows."""
    return number >= float(os.environ["MODEL_BOUNDARY"])


def accuracy() -> float:
    """The share of right answers on the labelled numbers."""
    return sum(predict(number) == label for number, label in LABELLED) / len(LABELLED)


class Handler(BaseHTTPRequestHandler):
    """GET /version and GET /metrics."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/version":
            self._answer(json.dumps({"version": os.environ["MODEL_VERSION"]}), "application/json")
        elif self.path == "/metrics":
            text = f'# TYPE model_quality gauge\nmodel_quality{{metric="accuracy"}} {accuracy()}\n'
            self._answer(text, "text/plain; version=0.0.4")
        else:
            self.send_error(404)

    def _answer(self, text: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(0)
    )  # a first process ends on SIGTERM only if it asks to
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
