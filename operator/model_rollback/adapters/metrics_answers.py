"""Prometheus's HTTP answers: which are believed, and what the others mean."""

import json
from collections.abc import Mapping
from typing import Any

from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample

_MESSAGE_LIMIT = 400


def short(text: str) -> str:
    """One line of bounded length, for a condition's message."""
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_LIMIT else line[: _MESSAGE_LIMIT - 1] + "…"


def parse_answer(payload: Any, *, allow_partial: bool, max_series: int) -> Answer:
    """The samples of `/api/v1/query`'s JSON.

    Args:
        payload: decoded, with status `success`.
        allow_partial: keep warnings in the answer instead of refusing it.

    Raises:
        MetricsError: `unexpected_type`, `too_large`, `partial`, or `not_prometheus` for another shape.
    """
    try:
        data = payload["data"]
        result_type, result = data["resultType"], data["result"]
        warnings, infos = _texts(payload.get("warnings")), _texts(payload.get("infos"))
        if result_type not in ("vector", "scalar"):
            raise MetricsError(
                "unexpected_type", f"query must return an instant vector or a scalar, this is a {result_type}"
            )
        if result_type == "scalar":
            samples: tuple[Sample, ...] = (Sample({}, _number(result[1])),)
        elif len(result) > max_series:
            raise MetricsError(
                "too_large", f"the answer has more than {max_series} series: aggregate more in the query"
            )
        else:
            samples = tuple(_sample(series) for series in result)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise MetricsError(
            "not_prometheus",
            f"the answer has not the shape of Prometheus's: {type(error).__name__}: {short(str(error))}",
        ) from error
    if warnings and not allow_partial:
        raise MetricsError(
            "partial", short(f"the answer came with warnings and may be incomplete: {'; '.join(warnings)}")
        )
    return Answer(samples, warnings, infos)


def refusal(status: int, body: bytes, url: str) -> MetricsError:
    """The error for an answer without success, from its HTTP status and `errorType`."""
    try:
        decoded = json.loads(body)
    except ValueError:
        decoded = None
    said: Mapping[str, Any] = decoded if isinstance(decoded, dict) else {}
    error_type = str(said.get("errorType") or "")
    text = (
        str(said.get("error") or "") or body[:2000].decode(errors="replace").strip() or "no reason was given"
    )
    detail = f"{error_type}: {text}" if error_type else text
    return MetricsError(
        _kind(status, error_type, known=bool(said)), short(f"{url} answered {status}: {detail}")
    )


def _kind(status: int, error_type: str, *, known: bool) -> str:
    if status in (401, 403):
        return "unauthorized"
    if error_type in ("timeout", "canceled"):
        return "timeout"
    if error_type in ("bad_data", "execution") or status in (400, 413, 414, 422):
        return "bad_query"
    if status == 429 or status >= 500 or error_type:
        return "unavailable"
    return "unavailable" if known and status not in (200, 404) else "not_prometheus"


def _sample(series: Mapping[str, Any]) -> Sample:
    if "histogram" in series:
        raise MetricsError(
            "unexpected_type",
            "query must return numbers, this has native histograms: use histogram_quantile() or the like",
        )
    labels = series["metric"]
    return Sample({str(name): str(value) for name, value in labels.items()}, _number(series["value"][1]))


def _number(text: Any) -> float:
    """Prometheus writes numbers as strings, also `NaN`, `+Inf` and `-Inf`."""
    if not isinstance(text, str):
        raise TypeError(f"a sample's value is {text!r}, not a string")
    return float(text)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(text) for text in value or ())
