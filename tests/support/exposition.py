"""An exporter that serves text, as a model server writes it: names, labels and types are what the text says."""

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.closing import Closing

_RATE = re.compile(r"~([0-9.]+)$", re.MULTILINE)


class Exposition(Closing):
    """Serves `text` on a free port of the loopback interface; `~2.5` in it is a counter that grows by 2.5 a second.

    `scrapes` counts the answers.
    """

    def __init__(self, text: str) -> None:
        self.scrapes = 0
        self._text = text
        self._began = time.monotonic()
        exposition = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exposition._now().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                exposition.scrapes += 1

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """host:port, as a scrape configuration wants it."""
        return f"127.0.0.1:{self._server.server_port}"

    def _now(self) -> str:
        elapsed = time.monotonic() - self._began
        return _RATE.sub(lambda match: f"{float(match[1]) * elapsed:.6f}", self._text)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
