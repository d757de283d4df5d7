"""An exporter of many series that costs next to nothing to scrape, so that a sample is visible soon after its time."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Exporter:
    """Serves `model_quality{model,group}` for every name on a free port of the loopback interface."""

    def __init__(self, names: list[str], groups: dict[str, str], value: float) -> None:
        self._prefix = {n: f'model_quality{{model="{n}",group="{groups[n]}"}} '.encode() for n in names}
        self._lines = {n: prefix + _number(value) for n, prefix in self._prefix.items()}
        self._page = self._render()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """host:port, as a scrape configuration wants it."""
        return f"127.0.0.1:{self._server.server_port}"

    def set(self, value: float, *names: str) -> None:
        """All at once: a scrape sees either none or all of them."""
        for name in names:
            self._lines[name] = self._prefix[name] + _number(value)
        self._page = self._render()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _render(self) -> bytes:
        return b"# TYPE model_quality gauge\n" + b"\n".join(self._lines.values()) + b"\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                page = exporter._page
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        return Handler


def _number(value: float) -> bytes:
    return repr(value).encode()
