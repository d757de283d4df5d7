"""Long work lets others have their turn, and no more of it runs side by side than was allowed."""

import asyncio
import time

from model_rollback.engine.turns import all_in_turns, each


async def test_everything_is_done_in_order_of_its_beginning():
    done = []

    async def work(item):
        done.append(item)

    await each(range(100), work, at_once=3)
    await each([], work)

    assert done == list(range(100))


async def test_no_more_than_allowed_run_side_by_side():
    running, most = 0, 0

    async def work(_):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await each(range(50), work, at_once=4)

    assert most == 4


async def test_work_that_never_waits_is_interrupted_for_others():
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())

    async def work(_):
        time.sleep(0.006)  # noqa: ASYNC251 - it stands for work that keeps the loop busy

    await each(range(5), work)
    task.cancel()

    assert turns >= 4


async def test_quick_work_is_interrupted_for_others_too():
    turns, done = 0, []

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def work(item):
        time.sleep(0.0005)
        done.append(item)

    beside = asyncio.create_task(other())
    await all_in_turns(range(200), work)
    beside.cancel()

    assert done == list(range(200))
    assert turns >= 3
