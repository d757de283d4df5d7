"""Wait for what is not there yet: poll with a deadline, and say what was seen last when it passes."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.02, 0.25
"""What comes soon is seen soon, and what takes long is not asked for all the time: each look waits longer."""


class DeadlineExceededError(AssertionError):
    """What was waited for did not come; the message says what was seen instead."""


def wait_until(
    look: Callable[[], Seen],
    timeout: float = 30.0,
    *,
    accept: Callable[[Seen], object] = bool,
    describe: str = "",
    retry_on: tuple[type[Exception], ...] = (AssertionError,),
    every: float | None = None,
) -> Seen:
    """Call `look` until `accept` is true of its answer, and return that answer.

    `timeout` is in seconds, and so is `every`, the time between two looks; without one it grows.
    An exception listed in `retry_on` counts as "not yet"; any other one is raised at once.
    Looks at least once after the deadline, so that a slow machine is no reason to fail.
    Raises DeadlineExceededError with the last answer or exception.
    """
    deadline = time.monotonic() + timeout
    pause = FIRST_POLL_SECONDS
    while True:
        late = time.monotonic() >= deadline
        try:
            seen = look()
            if accept(seen):
                return seen
            last = f"last seen: {seen!r}"
        except retry_on as error:
            last = f"last error: {error}"
        if late:
            what = describe or getattr(look, "__name__", "the condition")
            raise DeadlineExceededError(f"waited {timeout:g} s for {what}; {last}")
        time.sleep(pause if every is None else every)
        pause = min(pause * 1.5, LAST_POLL_SECONDS)
