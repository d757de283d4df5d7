"""The metrics sources as one namespace sees them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NoReturn

from model_rollback.core.tenancy import SourceRules
from model_rollback.errors import MetricsError
from model_rollback.ports import MetricsSource


class RefusedSource:
    """`MetricsSource` that is not for this namespace: whatever it is asked, it sends nothing."""

    def __init__(self, message: str) -> None:
        self._message = message

    async def query(self, text: str, at: datetime, *, within: timedelta | None = None) -> NoReturn:
        """Raises MetricsError."""
        raise MetricsError("not_allowed", self._message)

    async def query_range(
        self,
        text: str,
        start: datetime,
        end: datetime,
        step: timedelta,
        *,
        within: timedelta | None = None,
    ) -> NoReturn:
        """Raises MetricsError."""
        raise MetricsError("not_allowed", self._message)

    async def alert_rules(self, *, within: timedelta | None = None) -> NoReturn:
        """Raises MetricsError."""
        raise MetricsError("not_allowed", self._message)


def sources_for(
    namespace: str, sources: Mapping[str, MetricsSource], rules: SourceRules
) -> Mapping[str, MetricsSource]:
    """All sources; those that `namespace` may not use refuse every query."""
    refusals = {name: rules.refusal(name, namespace) for name in sources}
    return {name: RefusedSource(refusals[name]) if refusals[name] else one for name, one in sources.items()}
