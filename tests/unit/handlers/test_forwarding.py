"""Watch events cross from kopf's thread in their order, and wake the engine's loop seldom."""

import asyncio
import threading

from model_rollback.handlers.forwarding import Forwarder

MANY = 5000


class Inbox:
    """Remembers what came, and in which thread; `bad` is not understood."""

    def __init__(self):
        self.seen, self.threads = [], set()

    def on_policy(self, body, *, deleted):
        self.threads.add(threading.get_ident())
        if body == "bad":
            raise KeyError("metadata")
        self.seen.append((body, deleted))

    on_system = on_rollback = on_policy


class Loop:
    """Counts the wake-ups of the real loop."""

    def __init__(self, loop):
        self._loop, self.wakeups = loop, 0

    def call_soon_threadsafe(self, call):
        self.wakeups += 1
        self._loop.call_soon_threadsafe(call)

    def __getattr__(self, name):
        return getattr(self._loop, name)


async def arrival(inbox, count):
    """Waits until so many have come."""
    async with asyncio.timeout(60):
        while len(inbox.seen) < count:  # noqa: ASYNC110 - the inbox tells nobody
            await asyncio.sleep(0)


async def forwarded(*bodies):
    inbox, loop = Inbox(), Loop(asyncio.get_running_loop())
    forwarder = Forwarder(inbox, loop)
    ways = (forwarder.on_policy, forwarder.on_system, forwarder.on_rollback)

    def send():
        for number, body in enumerate(bodies):
            ways[number % 3](body, deleted=number % 2 == 1)

    sender = threading.Thread(target=send)
    sender.start()
    sender.join()  # holds the loop meanwhile, as a long tick does
    wanted = sum(body != "bad" for body in bodies)
    await arrival(inbox, wanted)
    return inbox, loop


async def test_all_arrive_in_their_order_in_the_loop_of_the_engine_for_one_wakeup():
    inbox, loop = await forwarded(*range(MANY))

    assert inbox.seen == [(number, number % 2 == 1) for number in range(MANY)]
    assert inbox.threads == {threading.get_ident()}
    assert loop.wakeups == 1


async def test_an_event_that_is_not_understood_delays_no_other():
    inbox, _ = await forwarded("a", "bad", "b")

    assert [body for body, _ in inbox.seen] == ["a", "b"]


async def test_what_comes_later_arrives_too():
    inbox = Inbox()
    forwarder = Forwarder(inbox, asyncio.get_running_loop())
    for number in range(3):
        forwarder.on_policy(number, deleted=False)
        await arrival(inbox, number + 1)

    assert [body for body, _ in inbox.seen] == [0, 1, 2]
