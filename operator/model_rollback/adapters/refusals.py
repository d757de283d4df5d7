"""What an API server's refusal means: from HTTP status and `metav1.Status` to the classes of `errors`."""

import json
import re
from collections.abc import Mapping
from typing import Any

from model_rollback.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Refused, Unavailable

MESSAGE_LIMIT = 512

_WHOLE_OBJECT = re.compile(r'Invalid value: "\{.*\}": ')
"""A patch that breaks a type is answered with the whole object, environment variables and all."""


class GoneError(Refused):
    """410: a resource version or a `continue` token is too old to go on from; list again."""


_CLASSES: dict[int, type[ClusterError]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: GoneError,
}


def translate_refusal(status: int, headers: Mapping[str, str], text: str, what: str) -> ClusterError:
    """The error for an answer that is not 2xx. Total: any body will do.

    Args:
        text: the body, a `metav1.Status` as JSON or anything else.
        what: the undertaking, which begins the message.
    """
    body = _status_object(text)
    message = f"{what}: {_message(status, body, text)}"
    if status == 422:
        return Invalid(message, causes=_causes(body))
    if status in (408, 429) or status >= 500:
        return Unavailable(message, retry_after=_retry_after(headers, body))
    return _CLASSES.get(status, Refused)(message)


def translate_exception(error: BaseException, what: str) -> ClusterError:
    """The error for a request that got no answer."""
    if isinstance(error, TimeoutError):
        return Unavailable(f"{what}: the API server did not answer in time")
    return Unavailable(
        f"{what}: the API server cannot be reached: {_short(str(error) or type(error).__name__)}"
    )


def _status_object(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _message(status: int, body: Mapping[str, Any], text: str) -> str:
    said = body.get("message") or text.strip() or "no reason was given"
    return f"{_short(str(said))} ({status})"


def _short(text: str) -> str:
    line = _WHOLE_OBJECT.sub("", " ".join(text.split()))
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def _details(body: Mapping[str, Any]) -> Mapping[str, Any]:
    details = body.get("details")
    return details if isinstance(details, dict) else {}


def _causes(body: Mapping[str, Any]) -> tuple[str, ...]:
    causes = _details(body).get("causes")
    if not isinstance(causes, list):
        return ()
    return tuple(
        _short(f"{cause.get('field', '')}: {cause.get('message', '')}".strip(": "))
        for cause in causes
        if isinstance(cause, dict)
    )


def _retry_after(headers: Mapping[str, str], body: Mapping[str, Any]) -> float | None:
    for said in (headers.get("Retry-After"), _details(body).get("retryAfterSeconds")):
        try:
            seconds = float(said) if said is not None else -1.0
        except (TypeError, ValueError):
            continue
        if 0 <= seconds < 86400:
            return seconds
    return None
