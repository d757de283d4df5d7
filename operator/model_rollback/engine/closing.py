"""How the end of a Rollback is told, and how a record is ended that no run will end."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from model_rollback import telemetry
from model_rollback.api.conditions import find_condition
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1 import RollbackStatus
from model_rollback.core import machine
from model_rollback.core.machine import Phase, phase_of
from model_rollback.core.outcome import OUTCOMES
from model_rollback.engine.context import World
from model_rollback.engine.held import write_status
from model_rollback.engine.store import RollbackEntry
from model_rollback.errors import ClusterError, Unavailable

log = structlog.get_logger(__name__)

_RETRY = timedelta(seconds=5)


def with_way(rollback: RollbackEntry, message: str) -> str:
    """`v13 → v12: message`; what is not known of the way, as before a plan, is left out."""
    start, target = rollback.from_version, rollback.status.to_version or rollback.spec.target_version
    if start and target:
        return f"{start} → {target}: {message}"
    return f"to {target}: {message}" if target else message


def tell_result(world: World, rollback: RollbackEntry, concerned: Sequence[Mapping[str, Any]]) -> None:
    """The Event and the metric of the result; nothing without one."""
    result, complete = rollback.status.result, find_condition(rollback.status.conditions, "Complete")
    if result == "" or complete is None:
        return
    telemetry.ROLLBACKS.labels(result).inc()
    world.announcer.tell(OUTCOMES[result].reason, with_way(rollback, complete.message), concerned)


def tell_freed(world: World, rollback: RollbackEntry, concerned: Sequence[Mapping[str, Any]]) -> None:
    """The Event that nothing was rolled back from after all, so that nothing is kept out for it."""
    words = f"{rollback.from_version} was not rolled back from: nothing was written"
    world.announcer.tell(Reason.QUARANTINE_RELEASED, words, concerned)


async def close(
    world: World, rollback: RollbackEntry, change: machine.Change, concerned: Sequence[Mapping[str, Any]]
) -> None:
    """Ends the record of a Rollback that no run moves, unless it is finished; told on it and on `concerned`.

    Tried until the API server answers: nobody else would end it before the next start.
    """
    if phase_of(rollback.status) is Phase.FINISHED:
        return

    def unless_finished(status: RollbackStatus) -> RollbackStatus:
        return status if phase_of(status) is Phase.FINISHED else rollback.observed(change)(status)

    while True:
        try:
            await write_status(world.objects, rollback, unless_finished)
            break
        except ClusterError as error:
            log.warning("record not closed", rollback=rollback.ref.name, error=str(error))
            if not isinstance(error, Unavailable):
                return
        await world.clock.sleep_until(world.clock.now() + _RETRY)
    tell_result(world, rollback, [rollback.regarding, *concerned])
