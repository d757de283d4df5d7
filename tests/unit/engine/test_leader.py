"""Who leads: the table of moves, and what a replica does while the API server fails in every way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from model_rollback.engine.leader import Election, Move, Rhythm, Sight, next_move
from model_rollback.errors import Conflict, Forbidden, Unavailable
from model_rollback.ports import LeaseRecord
from tests.unit.engine.virtual_time import VirtualLoop

RHYTHM = Rhythm()
HELD = LeaseRecord(holder="other", transitions=4, duration=6, renewed="09:00:00", resource_version="1")


@pytest.mark.parametrize(
    ("record", "seen_for", "expected"),
    [
        pytest.param(None, 0, (Move.CREATE, 100), id="there is none"),
        pytest.param(replace(HELD, holder=""), 0, (Move.TAKE, 100), id="it was released"),
        pytest.param(HELD, 0, (Move.WAIT, 106), id="held, just seen for the first time"),
        pytest.param(HELD, 5.9, (Move.WAIT, 100.1), id="not renewed for almost its duration"),
        pytest.param(HELD, 6, (Move.TAKE, 100), id="not renewed for its duration"),
        pytest.param(
            replace(HELD, duration=15), 6, (Move.WAIT, 109), id="its holder counts longer than we do"
        ),
        pytest.param(
            replace(HELD, duration=1), 5, (Move.WAIT, 101), id="its holder counts shorter than we do"
        ),
        pytest.param(replace(HELD, renewed="1970"), 0, (Move.WAIT, 106), id="a time in it proves nothing"),
    ],
)
def test_the_next_move(record, seen_for, expected):
    move, at = next_move(Sight(record, 100 - seen_for), RHYTHM, now=100)

    assert (move, pytest.approx(at)) == expected


@pytest.mark.parametrize(
    ("again", "since"),
    [
        pytest.param(replace(HELD, resource_version="9"), 10, id="an edit that renews nothing"),
        pytest.param(replace(HELD, renewed="09:00:01"), 12, id="a renewal"),
        pytest.param(replace(HELD, transitions=5), 12, id="another term"),
        pytest.param(replace(HELD, holder="third"), 12, id="another holder"),
        pytest.param(None, 12, id="deleted"),
    ],
)
def test_how_long_a_lease_has_been_seen_unchanged(again, since):
    assert Sight(HELD, 10).renewed(again, 12) == Sight(again, since)


@dataclass
class FakeLease:
    """`Leases` in memory. `fault`: awaited before each request, may raise or never return."""

    record: LeaseRecord | None = None
    fault: Callable[[str], Awaitable[None]] | None = None
    writes: list[tuple[float, str]] = field(default_factory=list)
    version: int = 0

    async def read(self) -> LeaseRecord | None:
        await self._suffer("read")
        return self.record

    async def write(self, holder: str, transitions: int, *, over: LeaseRecord | None) -> LeaseRecord:
        await self._suffer("write")
        if over != self.record:
            raise Conflict("somebody else was first")
        self.version += 1
        now = asyncio.get_running_loop().time()
        self.record = LeaseRecord(holder, transitions, 6, f"{now}", f"{self.version}")
        self.writes.append((now, holder))
        return self.record

    async def _suffer(self, what: str) -> None:
        if self.fault is not None:
            await self.fault(what)


def election(lease: FakeLease, me: str) -> Election:
    return Election(lease, me, RHYTHM, monotonic=asyncio.get_running_loop().time)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scene())


async def hang(_: str) -> None:
    await asyncio.get_running_loop().create_future()


def raising(error: Exception) -> Callable[[str], Awaitable[None]]:
    async def fail(_: str) -> None:
        raise error

    return fail


def test_the_first_one_leads_and_the_next_one_takes_over_when_it_is_gone():
    async def scene() -> None:
        lease = FakeLease()
        first, second = election(lease, "first"), election(lease, "second")
        assert await first.win() == 1
        keeping = asyncio.create_task(first.keep())
        waiting = asyncio.create_task(second.win())
        await asyncio.sleep(60)
        assert (first.holds(), waiting.done()) == (True, False)

        keeping.cancel()  # as if the process had died
        died = asyncio.get_running_loop().time()
        assert await waiting == 2
        assert asyncio.get_running_loop().time() - died < 8
        assert second.holds()

    play(scene)


def test_a_released_lease_is_taken_at_once():
    async def scene() -> None:
        lease = FakeLease()
        first, second = election(lease, "first"), election(lease, "second")
        await first.win()
        waiting = asyncio.create_task(second.win())
        await asyncio.sleep(3)
        released = asyncio.get_running_loop().time()
        await first.release()
        assert not first.holds()
        await waiting
        assert asyncio.get_running_loop().time() - released <= RHYTHM.retry

    play(scene)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(hang, id="no answer"),
        pytest.param(raising(Unavailable("503")), id="refused for now"),
        pytest.param(raising(Forbidden("403")), id="a right revoked"),
    ],
)
def test_who_cannot_renew_stops_before_anybody_else_begins(fault):
    async def scene() -> None:
        lease = FakeLease()
        first, second = election(lease, "first"), election(lease, "second")
        await first.win()
        keeping = asyncio.create_task(first.keep())
        await asyncio.sleep(10)
        lease.fault = fault
        said = await keeping
        stopped = asyncio.get_running_loop().time()
        last_renewal = lease.writes[-1][0]
        assert "4 s" in said
        assert stopped - last_renewal <= RHYTHM.renew_deadline
        assert not first.holds()

        lease.fault = None
        await second.win()
        assert lease.writes[-1][0] - last_renewal >= RHYTHM.duration

    play(scene)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        pytest.param(replace(HELD, transitions=7), "other holds the lease now", id="taken"),
        pytest.param(replace(HELD, holder=""), "nobody holds the lease now", id="emptied by hand"),
        pytest.param(None, "somebody deleted the lease", id="deleted"),
    ],
)
def test_any_loss_ends_the_term_at_once(record, said):
    async def scene() -> None:
        lease = FakeLease()
        first = election(lease, "first")
        await first.win()
        lease.record = record
        began = asyncio.get_running_loop().time()
        assert await first.keep() == said
        assert asyncio.get_running_loop().time() - began <= RHYTHM.retry
        assert not first.holds()
        await first.release()
        assert lease.record == record, "nothing is released that is not ours"

    play(scene)


def test_an_edit_by_a_person_and_a_lost_answer_end_no_term():
    async def scene() -> None:
        lease = FakeLease()
        first = election(lease, "first")
        await first.win()
        keeping = asyncio.create_task(first.keep())
        for _ in range(20):
            await asyncio.sleep(2.3)
            assert lease.record is not None
            lease.record = replace(lease.record, resource_version=f"edited {lease.version}")
        assert not keeping.done()
        assert first.holds()
        keeping.cancel()

    play(scene)


def test_a_frozen_process_knows_when_it_wakes_that_its_right_ran_out():
    """The clock runs on while nothing of the process does: no other replica, no answer, no timer tells it."""
    now = 0.0

    async def scene() -> None:
        nonlocal now
        lease = FakeLease()
        first = Election(lease, "first", RHYTHM, monotonic=lambda: now)
        await first.win()
        now = 3.9
        assert first.holds()
        now = 4.0
        assert not first.holds()
        assert "4 s" in await first.keep()
        assert len(lease.writes) == 1

    play(scene)


def test_two_that_begin_together_do_not_both_lead():
    async def scene() -> None:
        lease = FakeLease()
        many = [election(lease, f"replica-{number}") for number in range(5)]
        winning = [asyncio.create_task(one.win()) for one in many]
        await asyncio.sleep(1)
        assert sum(one.holds() for one in many) == 1
        for task in winning:
            task.cancel()

    play(scene)
