"""Wait for what is not there yet: poll with a deadline, and say what was seen last when it passes."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

POLL_SECONDS = 0.1


class DeadlineExceededError(AssertionError):
    """What was waited for did not come; the message says what was seen instead."""


def wait_until(
    look: Callable[[], Seen],
    timeout: float = 30.0,
    *,
    accept: Callable[[Seen], object] = bool,
    describe: str = "",
    retry_on: tuple[type[Exception], ...] = (AssertionError,),
    every: float = POLL_SECONDS,
) -> Seen:
    """Call `look` until `accept` is true of its answer, and return that answer.

    `timeout`, and `every` between two looks, are in seconds. An exception listed in `retry_on` counts as "not yet";
    any other one is raised at once.
    Looks at least once after the deadline, so that a slow machine is no reason to fail.
    Raises DeadlineExceededError with the last answer or exception.
    """
    deadline = time.monotonic() + timeout
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
        time.sleep(every)
