"""What keeps rollbacks apart: cooldown, budget, freeze windows, and who else owns the targets."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator

from model_rollback.api.types import ApiModel, CelRule, Duration, Integer, Period, atomic, rule

_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class RollbackBudget(ApiModel):
    """How many Rollbacks there may be in a stretch of time."""

    count: Annotated[Integer, Field(ge=1, le=50, description="So many. Example: `3`.")] = 3
    per: Annotated[Period, Field(description="Within this time. Example: `24h`.")] = timedelta(hours=24)


class FreezeWindow(ApiModel):
    """A stretch of time, again and again, in which no Rollback starts by itself."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        rule(
            "timestamp('2026-01-01T00:00:00Z').getFullYear(self.timeZone) > 0",
            "timeZone is a name of the IANA time zone database such as Europe/London",
        ),
    )

    schedule: Annotated[
        str,
        Field(
            max_length=64,
            pattern=r"^[-0-9A-Za-z*,/#]+( +[-0-9A-Za-z*,/#]+){4}$",
            description="When it begins: five fields as in cron (minute, hour, day of the month, month, day of the week). Example: `0 0 24 12 *`.",
        ),
    ]
    duration: Annotated[Period, Field(description="How long it lasts. Example: `48h`.")]
    time_zone: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$",
            description="The time zone of the schedule, by its IANA name. Example: `Europe/London`.",
        ),
    ] = "UTC"

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, schedule: str) -> str:
        try:
            begins = next(CronSim(schedule, _ANY_TIME), None)
        except CronSimError as error:
            raise ValueError(f"{schedule!r} is not a cron schedule such as '0 0 24 12 *': {error}") from None
        if begins is None:
            raise ValueError(f"{schedule!r} never comes")
        return schedule

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, LookupError):
            raise ValueError(
                f"{name!r} is not a name of the IANA time zone database such as Europe/London"
            ) from None
        return name


class Guards(ApiModel):
    """What keeps rollbacks from following each other, and from coming at the wrong time."""

    cooldown: Annotated[
        Duration, Field(description="No automatic Rollback for this long after one finished. Example: `30m`.")
    ] = timedelta(minutes=30)
    max_rollbacks: Annotated[
        RollbackBudget,
        Field(
            description="After so many Rollbacks of the ModelDeployment in that time, whoever started them, none starts by itself: people must look. Example: `{count: 3, per: 24h}`."
        ),
    ] = RollbackBudget()
    freeze_windows: Annotated[
        list[FreezeWindow],
        Field(
            description="When nothing is changed by itself. Example: `[{schedule: '0 0 24 12 *', duration: 48h, timeZone: Europe/London}]`.",
            **atomic(16),
        ),
    ] = []
    warm_up: Annotated[
        Duration,
        Field(
            description="After a new version appeared: measure for this long, and judge nothing. After a Rollback it is `validation.settle` instead. Example: `2m`."
        ),
    ] = timedelta(0)


class Ownership(ApiModel):
    """What to do when somebody else writes the targets too."""

    on_external_manager: Annotated[
        Literal["Warn", "Refuse"],
        Field(
            description="When Argo CD, Flux or Helm manages a target, and may put the bad version back: `Warn` and roll back, "
            "or `Refuse` to."
        ),
    ] = "Warn"
