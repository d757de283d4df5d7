"""The service over HTTP: `POST /v1/predict`, `POST /v1/feedback`, `GET /v1/health`, `GET /metrics`."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from model_server.service import BadRequestError, NotServingError, PredictionService, UnknownRequestError

log = logging.getLogger(__name__)

_BODY_LIMIT = 64 * 1024
_IDLE_TIMEOUT = 30.0


class ModelServer(ThreadingHTTPServer):
    """One thread per connection; `port` 0 takes a free one."""

    daemon_threads = True

    def __init__(self, service: PredictionService, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.service = service
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://{self.server_address[0]}:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_TIMEOUT
    # Head and body leave in one segment at once; apart they meet Nagle's algorithm and cost 40 ms per answer.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: ModelServer

    def do_GET(self) -> None:
        if self.path == "/v1/health":
            self._answer(*self._health())
        elif self.path == "/metrics":
            self._send(HTTPStatus.OK, CONTENT_TYPE_LATEST, self.server.service.metrics())
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "try /v1/health or /metrics"})

    def do_POST(self) -> None:
        service = self.server.service
        if self.path == "/v1/predict":
            status, answer = self._call(service.predict)
            service.count(status, answer.get("model_version"))
            self._answer(status, answer)
        elif self.path == "/v1/feedback":
            self._answer(*self._call(service.feedback))
        else:
            self.close_connection = True
            self._answer(HTTPStatus.NOT_FOUND, {"error": "try /v1/predict or /v1/feedback"})

    def _health(self) -> tuple[HTTPStatus, dict[str, Any]]:
        release = self.server.service.release
        if release is None:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "unavailable", "model_version": None}
        return HTTPStatus.OK, {"status": "ok", "model_version": release.version}

    def _call(self, operation: Any) -> tuple[HTTPStatus, dict[str, Any]]:
        try:
            return HTTPStatus.OK, operation(self._body())
        except BadRequestError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        except UnknownRequestError as error:
            return HTTPStatus.NOT_FOUND, {"error": str(error)}
        except NotServingError:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "no model version is in service"}
        except Exception:  # one request's fault must not end the connection without an answer
            log.exception("%s failed", self.path)
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "internal error; see the server's log"}

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > _BODY_LIMIT:
            # What follows on this connection is body that was not read, not a request.
            self.close_connection = True
            raise BadRequestError(f"send a Content-Length of at most {_BODY_LIMIT} bytes")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise BadRequestError(f"the body is not JSON: {error}") from error

    def _answer(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(document).encode())

    def _send(self, status: HTTPStatus, content_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Per-request lines only at debug level: the metrics count requests."""
        log.debug(format, *args)
