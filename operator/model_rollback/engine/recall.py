"""What the process before remembered when it ended, rebuilt at the first ticks after a start: the clocks that ran or
were held, and whether a breach that it left open and unanswered has lasted meanwhile.

Nobody looked while there was no process, for a second or for a week. Without that look back, one bad tick would answer
a breach that had ended long ago.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import structlog

from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1.trigger import Trigger, TriggerStatus
from model_rollback.core.questions import needs_target
from model_rollback.core.triggers import clock_began, is_open, looks_back, reopened, unconfirmed
from model_rollback.engine.replay import Replays, stretch
from model_rollback.engine.store import PolicyEntry, Store
from model_rollback.engine.turns import all_in_turns
from model_rollback.ports import MetricsSource

log = structlog.get_logger(__name__)

Forgotten = list[tuple[Trigger, TriggerStatus]]
"""Triggers and what was written of their clocks."""


class Recall:
    """Tries at every tick until the history is there or a live tick was judged: after that, a clock has begun anew.

    A process is often replaced just while its source cannot be asked, and a clock that an outage holds outlives that.
    """

    def __init__(
        self,
        store: Store,
        sources: Mapping[str, MetricsSource],
        target_seen: Callable[[PolicyEntry, datetime], datetime | None],
    ) -> None:
        """`target_seen`: when the version that a breach would put back was last live."""
        self._store = store
        self._sources = sources
        self._target_seen = target_seen

    async def recall(
        self, policies: Iterable[PolicyEntry], source: str, *, now: datetime, within: timedelta
    ) -> None:
        """Rebuilds what is still to be rebuilt. Raises nothing but cancellation.

        Args:
            policies: of one tick on `source`.
            within: how long that may take.
        """
        waiting = [policy for policy in policies if not policy.recalled]
        known = self._sources.get(source)
        if known is None or not waiting:
            return
        replays = Replays(known, within)
        stopped: list[tuple[PolicyEntry, Forgotten]] = []

        def look(policy: PolicyEntry) -> None:
            forgotten = _forgotten(policy)
            if forgotten:
                stopped.append((policy, forgotten))
            else:
                policy.recalled = True

        await all_in_turns(waiting, look)
        await asyncio.gather(*(self._recall_policy(replays, *one, now) for one in stopped))

    async def _recall_policy(
        self, replays: Replays, policy: PolicyEntry, forgotten: Forgotten, now: datetime
    ) -> None:
        done = await asyncio.gather(
            *(self._recall_clock(replays, policy, trigger, status, now) for trigger, status in forgotten)
        )
        policy.recalled = all(done)

    async def _recall_clock(
        self, replays: Replays, policy: PolicyEntry, trigger: Trigger, status: TriggerStatus, now: datetime
    ) -> bool:
        """Whether this clock needs no further try."""
        system = self._store.system_of(policy)
        if policy.spec is None or system is None or system.status.episode != status.episode:
            return system is not None
        interval = policy.spec.interval
        since, before = clock_began(status) or now, None
        if _is_unanswered(status) and status.breaching_since is not None:
            since = max(status.breaching_since, now - looks_back(trigger, interval))
            before = reopened(status, since)
        past = stretch(since, now, interval)
        seen = self._target_seen(policy, now) if needs_target(trigger) else None
        memory = await replays.replay(trigger, past, episode=status.episode, target_seen=seen, memory=before)
        if memory is None:
            if before is not None:
                policy.memories[trigger.name] = unconfirmed(status, now)
            return False
        policy.memories[trigger.name] = memory
        log.info(
            "clock rebuilt from history",
            policy=str(policy.ref),
            trigger=trigger.name,
            state=memory.state,
            clock=format_duration(memory.clock),
        )
        return True


def _forgotten(policy: PolicyEntry) -> Forgotten:
    """The triggers with a clock or an unanswered breach in their written status, of which this process has judged no
    tick yet."""
    triggers = policy.spec.triggers if policy.spec is not None else ()
    written = {t.name: t for t in policy.status.triggers if clock_began(t) is not None or _is_unanswered(t)}
    return [(t, written[t.name]) for t in triggers if t.name in written and not _is_judged(policy, t.name)]


def _is_unanswered(status: TriggerStatus) -> bool:
    return is_open(status) and not status.consumed_by


def _is_judged(policy: PolicyEntry, trigger: str) -> bool:
    memory = policy.memories.get(trigger)
    return memory is not None and memory.judged_at is not None
