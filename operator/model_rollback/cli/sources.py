"""Whom a backtest asks, and over which time: from options to a metrics source and a window."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.adapters.sources import make_source
from model_rollback.api.types import Interval, Time, parse_duration
from model_rollback.cli.documents import UnusableError
from model_rollback.cli.history import Window, window
from model_rollback.settings import load

_PATIENCE: Final = timedelta(minutes=1)
"""A range of history takes longer than the operator may wait at a tick."""

_TIME: Final[TypeAdapter[datetime]] = TypeAdapter(Time)
_STEP: Final[TypeAdapter[timedelta]] = TypeAdapter(Interval)


def open_source(name: str, url: str, config: Path | None) -> PrometheusSource:
    """The source at `url`, or the one that the operator's configuration file calls `name`. Raises UnusableError."""
    if bool(url) == (config is not None):
        raise UnusableError(
            "say whom to ask: either --prometheus URL, or --config with the operator's configuration"
        )
    try:
        if config is None:
            return PrometheusSource(SourceConfig(url=url, timeout=_PATIENCE.total_seconds()))
        sources = load(["--config", str(config)]).metrics_sources
    except (ValidationError, OSError, ValueError) as error:
        raise UnusableError(f"{'--config' if config else '--prometheus'}: {error}") from error
    if name not in sources:
        known = ", ".join(sorted(sources)) or "none"
        raise UnusableError(
            f"{config} has no metricsSource {name!r}, which the policy names; it has: {known}"
        )
    try:
        return make_source(sources[name].model_copy(update={"timeout": _PATIENCE}))
    except ValueError as error:
        raise UnusableError(f"{config}: {error}") from error


def span(since: str, until: str, step: str, interval: timedelta, *, now: datetime) -> Window:
    """The window that the options mean. Raises UnusableError."""
    end = moment("--until", until, now) if until else now
    begin = moment("--since", since, end)
    try:
        return window(begin, end, _STEP.validate_python(step) if step else interval)
    except ValidationError as error:
        raise UnusableError(f"--step {step}: {_why(error)}") from error
    except ValueError as error:
        raise UnusableError(f"--since {since} --until {until or 'now'}: {error}") from error


def moment(option: str, text: str, before: datetime) -> datetime:
    """A time, or a duration before `before`. Raises UnusableError."""
    try:
        return _TIME.validate_python(text) if "T" in text else before - parse_duration(text)
    except ValidationError as error:
        raise UnusableError(f"{option} {text}: {_why(error)}") from error
    except ValueError as error:
        raise UnusableError(f"{option} {text}: {error}") from error


def _why(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
