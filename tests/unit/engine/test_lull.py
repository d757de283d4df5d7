"""A stream of arrivals is waited for, and no stream for ever."""

import asyncio

from model_rollback.engine.lull import Lull
from tests.unit.engine.virtual_time import VirtualLoop


def in_virtual_time(work):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


def test_it_waits_while_something_comes_and_not_much_longer():
    async def work():
        lull, now = Lull(), asyncio.get_running_loop().time
        waiting = asyncio.create_task(lull.wait())
        for _ in range(20):
            lull.came()
            await asyncio.sleep(0.1)
            assert not waiting.done()
        await waiting
        return now()

    assert 2.0 <= in_virtual_time(work) < 3.0


def test_a_long_stream_may_pause_for_longer():
    async def work():
        lull, now = Lull(), asyncio.get_running_loop().time
        for _ in range(50):
            lull.came()
            await asyncio.sleep(0.1)
        waiting = asyncio.create_task(lull.wait())
        await asyncio.sleep(0.7)
        assert not waiting.done()
        lull.came()
        await waiting
        return now()

    assert 6.5 < in_virtual_time(work) < 7.5


def test_pages_that_are_slow_to_come_are_one_stream():
    async def work():
        lull, now = Lull(), asyncio.get_running_loop().time
        waiting = asyncio.create_task(lull.wait())
        for pause in (0.4, 0.4, 0.4, 0.6, 0.8, 1.2, 1.4, 1.4):
            lull.came()
            await asyncio.sleep(pause)
            assert not waiting.done()
        await waiting
        return now()

    assert in_virtual_time(work) < 7


def test_what_comes_after_a_pause_is_a_stream_of_its_own():
    async def work():
        lull, now = Lull(), asyncio.get_running_loop().time
        for _ in range(100):
            lull.came()
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)
        lull.came()
        began = now()
        await lull.wait()
        return now() - began

    assert in_virtual_time(work) < 0.6


def test_it_waits_for_nothing_where_nothing_came():
    async def work():
        await Lull().wait()
        return asyncio.get_running_loop().time()

    assert in_virtual_time(work) == 0


def test_a_stream_without_end_is_not_waited_for():
    async def work():
        lull, now = Lull(), asyncio.get_running_loop().time

        async def come():
            while True:
                lull.came()
                await asyncio.sleep(0.1)

        lull.came()
        coming = asyncio.create_task(come())
        await lull.wait()
        coming.cancel()
        return now()

    assert 29 < in_virtual_time(work) < 31
