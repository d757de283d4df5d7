"""Value types of the API: how durations, decimals, thresholds and times are written, and how they are checked.

Each type carries both halves of its contract: the OpenAPI schema with CEL rules that the API server enforces,
and the pydantic validation that the operator and the command line enforce. `tests/unit/api` holds the two
against each other.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Final, NoReturn, Self

import durationpy
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from model_rollback.api.sharing import SharedModel

CelRule = dict[str, str]

_DURATION_PATTERN: Final = r"^([0-9]+(h|m|s|ms))+$"
_TIME_PATTERN: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}([.]\d+)?(Z|[+-]\d{2}:\d{2})"
_DECIMAL: Final = r"[+-]?([0-9]+([.][0-9]+)?|[.][0-9]+)([eE][+-]?[0-9]{1,2})?"
MAX_DURATION: Final = timedelta(hours=8784)


def rule(expression: str, message: str) -> CelRule:
    """One entry of `x-kubernetes-validations`."""
    return {"rule": expression, "message": message}


class ApiModel(SharedModel):
    """A part of a spec: camelCase on the wire, unknown fields refused.

    Refusing is deliberate. An operator that is older than the CRD must not run a procedure whose newest guard
    it would silently ignore; such a policy gets the condition `Stalled` with reason `InvalidSpec`.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)
    cel_rules: ClassVar[tuple[CelRule, ...]] = ()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: it never changes. pydantic copies defaults for each object; ten thousand specs share them so."""
        return self

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """The API server drops fields that are null; a file read by the command line means the same."""
        if not isinstance(data, dict) or None not in data.values():
            return data
        return {k: v for k, v in data.items() if v is not None}


class StatusModel(SharedModel):
    """A part of a status: unknown fields are dropped, so that a newer operator's status can be read."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)
    cel_rules: ClassVar[tuple[CelRule, ...]] = ()


def parse_duration(text: Any) -> timedelta:
    """Go's grammar without the exotic units: `30s`, `1h30m`, `500ms`. There is no `d`: write `168h`.

    Raises:
        ValueError: not such a duration, or longer than a year.
    """
    if isinstance(text, timedelta):
        return text
    return _parse_duration(text) if isinstance(text, str) else _no_duration(text)


@lru_cache(maxsize=1024)
def _parse_duration(text: str) -> timedelta:
    if len(text) > 20 or not re.fullmatch(_DURATION_PATTERN, text):
        _no_duration(text)
    try:
        value: timedelta = durationpy.from_str(text)
    except OverflowError:
        value = timedelta.max
    if value > MAX_DURATION:
        raise ValueError(f"{text} is longer than the longest duration, 8784h")
    return value


def _no_duration(text: Any) -> NoReturn:
    raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 1h30m (there is no unit for days: 168h)")


def format_duration(value: timedelta) -> str:
    """The shortest usual spelling: `90s` is `1m30s`, zero is `0s`; parts below a millisecond are dropped."""
    milliseconds = round(value.total_seconds() * 1000)
    if milliseconds == 0:
        return "0s"
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _duration_type(minimum: str, maximum: str) -> Any:
    low, high = parse_duration(minimum), parse_duration(maximum)

    def in_range(value: timedelta) -> timedelta:
        if not low <= value <= high:
            raise ValueError(f"must be between {minimum} and {maximum}, not {format_duration(value)}")
        return value

    schema = {
        "type": "string",
        "maxLength": 20,
        "pattern": _DURATION_PATTERN,
        "x-kubernetes-validations": [
            rule(
                f"duration(self) >= duration('{minimum}') && duration(self) <= duration('{maximum}')",
                f"must be between {minimum} and {maximum}",
            )
        ],
    }
    return Annotated[
        timedelta,
        BeforeValidator(parse_duration),
        AfterValidator(in_range),
        PlainSerializer(format_duration, return_type=str),
        WithJsonSchema(schema),
    ]


Duration = _duration_type("0s", "8784h")
Interval = _duration_type("1s", "1h")
Timeout = _duration_type("1s", "24h")
Period = _duration_type("1s", "8784h")
"""A stretch of time that cannot be empty."""
Window = _duration_type("10s", "168h")


def _parse_time(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(_TIME_PATTERN, value):
        raise ValueError(f"{value!r} is not a time such as 2026-01-05T10:00:00Z")
    # Milliseconds are what is written; a finer time would never equal itself after a round trip.
    moment = datetime.fromisoformat(value)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as the API server accepts for `format: date-time`."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    datetime,
    BeforeValidator(_parse_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _parse_day(value: Any) -> Any:
    if type(value) is date:  # YAML reads a day without quotes as one
        return value
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError(f"{value!r} is not a day such as 2027-01-31")
    return date.fromisoformat(value)


Day = Annotated[
    date,
    BeforeValidator(_parse_day),
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date", "maxLength": 10}),
]

Name = Annotated[
    str,
    Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
]
VersionName = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
]
Text = Annotated[str, Field(max_length=1024)]
Integer = Annotated[int, Field(strict=True)]
"""A whole number that people write: `"5"` and `true` are none, as for the API server."""
Threshold = Annotated[
    str,
    Field(min_length=1, max_length=64, pattern=f"^{_DECIMAL}(%|[.][.]{_DECIMAL})?$"),
]
"""A finite decimal, `"0.90"`; for Inside and Outside an inclusive range, `"0.8..1.2"`; for DropsBy and RisesBy
`"10%"` too."""
Decimal = Annotated[str, Field(min_length=1, max_length=64, pattern=f"^{_DECIMAL}$")]
"""A finite decimal as a string."""


@lru_cache(maxsize=1024)
def parse_range(threshold: str) -> tuple[float, float]:
    """`"0.8..1.2"` → (0.8, 1.2); a single decimal gives it twice."""
    low, _, high = threshold.partition("..")
    return float(low), float(high or low)


def keyed(*keys: str, items: int) -> dict[str, Any]:
    """Field arguments of a list that is a map keyed by `keys`: bounded, merged by key in server-side apply."""
    return {
        "max_length": items,
        "json_schema_extra": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)},
    }


def atomic(items: int) -> dict[str, Any]:
    """Field arguments of a bounded list that is replaced as a whole."""
    return {"max_length": items, "json_schema_extra": {"x-kubernetes-list-type": "atomic"}}


def unique(items: int) -> dict[str, Any]:
    """Field arguments of a bounded list of scalars that differ; the order is kept."""
    return {"max_length": items, "json_schema_extra": {"x-kubernetes-list-type": "set"}}


def require_unique(names: list[str], what: str) -> None:
    """Raises ValueError naming the first name that stands twice (the API server does it by the list's map keys)."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} is given twice; names in this list must differ")
        seen.add(name)
