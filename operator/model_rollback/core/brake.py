"""The fleet brake: when many policies of one source turn Breached at once, the metrics are likelier to be broken than
all the models, so new Rollbacks wait for a while and are judged again."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

WINDOW: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class BrakeRule:
    """When the brake engages.

    Attributes:
        max_share: of the policies on a source, 0 to 1; more than this many turning Breached within a minute engage it.
            1: never, however often they turn.
        at_least: so many in any case, or small fleets would never roll back.
        release_after: how long it stays engaged.
    """

    max_share: float = 0.2
    at_least: int = 10
    release_after: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Brake:
    """Of one source.

    Attributes:
        turned: when policies turned Breached, within the newest minute.
        until: how long it is engaged; None: it is not.
        share: what engaged it, in words.
    """

    turned: tuple[datetime, ...] = ()
    until: datetime | None = None
    share: str = ""

    def after(self, turned: int, policies: int, rule: BrakeRule, *, now: datetime) -> "Brake":
        """The brake after a tick in which `turned` of the source's `policies` turned Breached."""
        recent = tuple(t for t in (*self.turned, *((now,) * turned)) if now - WINDOW < t <= now)
        until = self.until if self.until is not None and self.until > now else None
        is_off = rule.max_share >= 1
        if (
            turned
            and until is None
            and not is_off
            and len(recent) > max(rule.max_share * policies, rule.at_least - 1)
        ):
            return Brake(
                recent,
                now + rule.release_after,
                f"{len(recent)} of {policies} policies turned Breached within a minute",
            )
        return replace(self, turned=recent, until=until)

    def engaged_again(self, rule: BrakeRule, *, now: datetime) -> "Brake":
        """The brake of a process that has just begun and finds policies that the one before it had held."""
        if rule.max_share >= 1:
            return self
        return replace(
            self,
            until=now + rule.release_after,
            share="before the operator was started anew, too many policies turned Breached within a minute",
        )


NO_BRAKE: Final = Brake()
"""Of a source on which nothing has happened."""
