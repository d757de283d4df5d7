"""Prometheus's HTTP answers: which are believed, and what the others mean."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, RangeAnswer, Sample, Series

MAX_POINTS: Final = 11_000
"""What Prometheus computes of one series for one range query; for more it answers with an error."""

_IS_PARTIAL: Final = "isPartial: some storage nodes did not answer"
"""VictoriaMetrics says it with a field of its own."""

_PARTIAL: Final = (
    "no storeapis matched",
    "receive series from",
    "fetch series for",
    "rpc error: code =",
    "partial data",
)
"""How Thanos, Cortex and Mimir say that one of their stores did not answer, where partial answers are refused: as an
error of the query, which it is not."""

_MESSAGE_LIMIT: Final = 400


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
    with _shaped_like_prometheus():
        data = payload["data"]
        result_type, result = data["resultType"], data["result"]
        if result_type not in ("vector", "scalar"):
            raise MetricsError(
                "unexpected_type", f"query must return an instant vector or a scalar, this is a {result_type}"
            )
        if result_type == "scalar":
            samples: tuple[Sample, ...] = (Sample({}, _number(result[1])),)
        else:
            _limit(len(result), max_series)
            samples = tuple(_sample(series) for series in result)
        return Answer(samples, *_notes(payload, allow_partial=allow_partial))


def parse_range_answer(
    payload: Any, moments: Sequence[datetime], *, allow_partial: bool, max_series: int
) -> RangeAnswer:
    """The series of `/api/v1/query_range`'s JSON at `moments`. Arguments and errors as in `parse_answer`."""
    index = {round(moment.timestamp() * 1000): number for number, moment in enumerate(moments)}
    with _shaped_like_prometheus():
        data = payload["data"]
        result_type, result = data["resultType"], data["result"]
        if result_type != "matrix":
            raise MetricsError("unexpected_type", f"a range query returns a matrix, this is a {result_type}")
        _limit(len(result), max_series)
        series = tuple(_series(one, index) for one in result)
        return RangeAnswer(tuple(moments), series, *_notes(payload, allow_partial=allow_partial))


def parse_alert_rules(payload: Any, *, allow_partial: bool, max_series: int) -> Answer:
    """The alerting rules of `/api/v1/rules`'s JSON, see `ports.MetricsSource.alert_rules`. Raises MetricsError."""
    with _shaped_like_prometheus():
        rules = [
            Sample({"alertname": str(rule["name"]), "health": str(rule.get("health", ""))}, 1.0)
            for group in payload["data"]["groups"]
            for rule in group["rules"]
            if rule["type"] == "alerting"
        ]
        _limit(len(rules), max_series)
        warnings, infos = _notes(payload, allow_partial=allow_partial)
    return Answer(tuple(rules), warnings, infos)


def split_range(start: datetime, end: datetime, step: timedelta) -> list[list[datetime]]:
    """The moments `start`, `start + step`, … up to and with `end`, in parts that Prometheus answers.

    Times are cut to milliseconds, which is what Prometheus knows.

    Raises:
        ValueError: `step` is below a millisecond, or `end` before `start`.
    """
    first, last = (math.floor(moment.timestamp() * 1000) for moment in (start, end))
    width = round(step / timedelta(milliseconds=1))
    if width < 1 or last < first:
        raise ValueError(f"no range: from {start} to {end} in steps of {step}")
    moments = [datetime.fromtimestamp(at / 1000, UTC) for at in range(first, last + 1, width)]
    return [moments[at : at + MAX_POINTS] for at in range(0, len(moments), MAX_POINTS)]


def join_ranges(parts: Sequence[RangeAnswer], *, max_series: int) -> RangeAnswer:
    """Answers for ranges that follow each other as one. Raises MetricsError `too_large`."""
    values: dict[frozenset[tuple[str, str]], list[float | None]] = {}
    before = 0
    for part in parts:
        for one in part.series:
            row = values.setdefault(frozenset(one.labels.items()), [])
            row += [None] * (before - len(row))
            row += one.values
        before += len(part.moments)
    _limit(len(values), max_series)
    return RangeAnswer(
        tuple(moment for part in parts for moment in part.moments),
        tuple(Series(dict(labels), (*row, *[None] * (before - len(row)))) for labels, row in values.items()),
        tuple(dict.fromkeys(text for part in parts for text in part.warnings)),
        tuple(dict.fromkeys(text for part in parts for text in part.infos)),
    )


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
    kind = _kind(status, error_type, known=bool(said))
    if kind in ("bad_query", "unavailable") and any(words in text.lower() for words in _PARTIAL):
        kind = "partial"
    return MetricsError(kind, short(f"{url} answered {status}: {detail}"))


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
    _refuse_histograms(series, "histogram")
    return Sample(_labels(series), _number(series["value"][1]))


def _number(text: Any) -> float:
    """Prometheus writes numbers as strings, also `NaN`, `+Inf` and `-Inf`."""
    if not isinstance(text, str):
        raise TypeError(f"a sample's value is {text!r}, not a string")
    return float(text)


def _series(series: Mapping[str, Any], index: Mapping[int, int]) -> Series:
    _refuse_histograms(series, "histograms")
    values: list[float | None] = [None] * len(index)
    for seconds, text in series["values"]:
        values[index[round(seconds * 1000)]] = _number(text)
    return Series(_labels(series), tuple(values))


def _labels(series: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in series["metric"].items()}


def _refuse_histograms(series: Mapping[str, Any], key: str) -> None:
    if key in series:
        raise MetricsError(
            "unexpected_type",
            "query must return numbers, this has native histograms: use histogram_quantile() or the like",
        )


def _limit(count: int, most: int) -> None:
    if count > most:
        raise MetricsError(
            "too_large", f"the answer has more than {most} series: aggregate more in the query"
        )


def _notes(payload: Mapping[str, Any], *, allow_partial: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and infos; warnings that may not be are an error."""
    warnings, infos = _texts(payload.get("warnings")), _texts(payload.get("infos"))
    if payload.get("isPartial"):
        warnings = (*warnings, _IS_PARTIAL)
    if warnings and not allow_partial:
        raise MetricsError(
            "partial", short(f"the answer came with warnings and may be incomplete: {'; '.join(warnings)}")
        )
    return warnings, infos


@contextlib.contextmanager
def _shaped_like_prometheus() -> Iterator[None]:
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise MetricsError(
            "not_prometheus",
            f"the answer has not the shape of Prometheus's: {type(error).__name__}: {short(str(error))}",
        ) from error


def _texts(value: Any) -> tuple[str, ...]:
    """Each once: Thanos repeats a warning for every selector."""
    return tuple(dict.fromkeys(str(text) for text in value or ()))
