"""A breach: which values are bad, on their own or beside a baseline, and beyond what they are good again."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from model_rollback.api.types import ApiModel, CelRule, Period, Threshold, parse_range, rule

Operator = Literal[
    "LessThan",
    "LessThanOrEqual",
    "GreaterThan",
    "GreaterThanOrEqual",
    "Equal",
    "NotEqual",
    "Outside",
    "Inside",
    "DropsBy",
    "RisesBy",
]
LabelName = Annotated[str, Field(max_length=128, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
LabelValue = Annotated[str, Field(max_length=256)]
Query = Annotated[str, Field(min_length=1, max_length=4096)]

RANGED: Final = ("Outside", "Inside")
RELATIVE: Final = ("DropsBy", "RisesBy")

_RANGE_MESSAGE = "Outside and Inside take a range low..high with low <= high, e.g. 0.8..1.2; the other operators one decimal"
_PERCENT_MESSAGE = "threshold: only DropsBy and RisesBy take a percentage"
_LIMIT_MESSAGE = "threshold: DropsBy and RisesBy take how much is too much, above zero, e.g. 10% or 0.05"
_BASELINE_MESSAGE = "baseline is what DropsBy and RisesBy compare with: give it with them, and only there"
_ONE_BASELINE_MESSAGE = "a baseline is exactly one of version, offset, query"
_SERIES_MESSAGE = "baseline: series goes with query; version and offset take the trigger's own"
_RECOVER_MESSAGE = (
    "recoverAt has the form of the threshold and lies on its healthy side, e.g. 0.93 for LessThan 0.90; "
    "Equal and NotEqual have none"
)


def parse_limit(threshold: str) -> tuple[float, bool]:
    """`"10%"` → (10, True); `"0.05"` → (0.05, False)."""
    return float(threshold.removesuffix("%")), threshold.endswith("%")


class Baseline(ApiModel):
    """What a value is compared with; exactly one of its kinds is given."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "[has(self.version), has(self.offset), has(self.query)].filter(x, x).size() == 1",
            _ONE_BASELINE_MESSAGE,
        ),
        rule("!has(self.series) || has(self.query)", _SERIES_MESSAGE),
    )

    version: Annotated[
        Literal["Target"] | None,
        Field(
            description="`Target`: the same query when the version that would be put back was last live. Example: `Target`."
        ),
    ] = None
    offset: Annotated[
        Period | None,
        Field(description="The same query this long before the evaluation. Example: `24h`."),
    ] = None
    query: Annotated[
        Query | None,
        Field(
            description='Another query at the same moment. Example: `avg(model_quality{role="champion"})`.'
        ),
    ] = None
    series: Annotated[
        dict[LabelName, LabelValue],
        Field(
            max_length=16,
            description="Which series of that query's answer is the baseline; empty: every one. Example: `{model: champion}`.",
        ),
    ] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(x is not None for x in (self.version, self.offset, self.query)) != 1:
            raise ValueError(_ONE_BASELINE_MESSAGE)
        if self.series and self.query is None:
            raise ValueError(_SERIES_MESSAGE)
        return self


class Breach(ApiModel):
    """Which values are bad."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "self.operator in ['Outside', 'Inside'] ? self.threshold.contains('..') && "
            "double(self.threshold.split('..')[0]) <= double(self.threshold.split('..')[1]) "
            ": !self.threshold.contains('..')",
            _RANGE_MESSAGE,
        ),
        rule(
            "!self.threshold.endsWith('%') || self.operator in ['DropsBy', 'RisesBy']",
            _PERCENT_MESSAGE,
        ),
        rule(
            "!(self.operator in ['DropsBy', 'RisesBy']) || self.threshold.contains('..') || "
            "double(self.threshold.replace('%', '')) > 0.0",
            _LIMIT_MESSAGE,
        ),
        rule("(self.operator in ['DropsBy', 'RisesBy']) == has(self.baseline)", _BASELINE_MESSAGE),
    )

    operator: Annotated[
        Operator,
        Field(
            description="How the value is compared: it is bad when it is, say, less than the threshold. `Outside` and `Inside` take an inclusive range. "
            "`DropsBy` and `RisesBy` compare with a baseline. Example: `LessThan`."
        ),
    ]
    threshold: Annotated[
        Threshold,
        Field(
            description='A decimal as a string, or a range, or with `DropsBy` and `RisesBy` also a share of the baseline. Examples: `"0.90"`, `"0.8..1.2"`, `"10%"`.'
        ),
    ]
    baseline: Annotated[
        Baseline | None,
        Field(
            description="What `DropsBy` and `RisesBy` compare with; a missing or zero baseline is no data, never a breach. Examples: `{version: Target}`, `{offset: 24h}`."
        ),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        percent = self.threshold.endswith("%")
        if percent and self.operator not in RELATIVE:
            raise ValueError(f"breach {self.operator} {self.threshold!r}: {_PERCENT_MESSAGE}")
        low, high = (0.0, 0.0) if percent else parse_range(self.threshold)
        if (self.operator in RANGED) != (".." in self.threshold) or low > high:
            raise ValueError(f"breach {self.operator} {self.threshold!r}: {_RANGE_MESSAGE}")
        if self.operator in RELATIVE and parse_limit(self.threshold)[0] <= 0:
            raise ValueError(f"breach {self.operator} {self.threshold!r}: {_LIMIT_MESSAGE}")
        if (self.operator in RELATIVE) != (self.baseline is not None):
            raise ValueError(f"breach {self.operator}: {_BASELINE_MESSAGE}")
        return self


def _recovers_beyond(breach: Breach, recover_at: str) -> bool:
    """Whether `recover_at` has the form of the threshold and lies on its healthy side."""
    threshold = breach.threshold
    if (".." in recover_at, recover_at.endswith("%")) != (".." in threshold, threshold.endswith("%")):
        return False
    if breach.operator in RELATIVE:
        return 0 <= parse_limit(recover_at)[0] <= parse_limit(threshold)[0]
    (low, high), (bad_low, bad_high) = parse_range(recover_at), parse_range(threshold)
    match breach.operator:
        case "LessThan" | "LessThanOrEqual":
            return low >= bad_low
        case "GreaterThan" | "GreaterThanOrEqual":
            return low <= bad_low
        case "Outside":
            return bad_low <= low <= high <= bad_high
        case "Inside":
            return low <= bad_low and bad_high <= high
    return False


def check_recovery(breach: Breach, recover_at: str) -> None:
    """Raises ValueError when `recover_at` cannot end a breach of that kind."""
    if not _recovers_beyond(breach, recover_at):
        raise ValueError(f"recoverAt {recover_at!r}: {_RECOVER_MESSAGE}")


_R, _T = "self.recoverAt", "self.breach.threshold"


def _low(text: str) -> str:
    return f"double({text}.split('..')[0])"


def _high(text: str) -> str:
    return f"double({text}.split('..')[1])"


def _amount(text: str) -> str:
    return f"double({text}.replace('%', ''))"


RECOVERY_RULE: Final = rule(
    f"!has(self.recoverAt) || !has(self.breach) || {_R}.contains('..') == {_T}.contains('..') && "
    f"{_R}.endsWith('%') == {_T}.endsWith('%') && ("
    "self.breach.operator in ['DropsBy', 'RisesBy'] ? "
    f"!{_R}.contains('..') && {_amount(_R)} >= 0.0 && {_amount(_R)} <= {_amount(_T)} : "
    "self.breach.operator in ['LessThan', 'LessThanOrEqual'] ? "
    f"!{_R}.contains('..') && {_low(_R)} >= {_low(_T)} : "
    "self.breach.operator in ['GreaterThan', 'GreaterThanOrEqual'] ? "
    f"!{_R}.contains('..') && {_low(_R)} <= {_low(_T)} : "
    "self.breach.operator == 'Outside' ? "
    f"{_R}.contains('..') && {_low(_R)} >= {_low(_T)} && {_low(_R)} <= {_high(_R)} && {_high(_R)} <= {_high(_T)} : "
    "self.breach.operator == 'Inside' && "
    f"{_R}.contains('..') && {_low(_R)} <= {_low(_T)} && {_high(_R)} >= {_high(_T)})",
    _RECOVER_MESSAGE,
)
"""For a model that may hold both `breach` and `recoverAt`."""
