"""Ctrl-C and its relatives: every polite request to stop runs the clean-up, and the clean-up is not cut off."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked this process to stop; like KeyboardInterrupt, not an error of the program."""

    def __init__(self, number: int) -> None:
        """Remember the signal's `number`, as it decides the exit code."""
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


def raise_on_signals() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into `Interrupted`.

    A shell that runs a script starts background jobs with SIGINT ignored; a build or start must end cleanly on
    it nevertheless. `nohup` has SIGHUP ignored on purpose.
    """
    for number in _REQUESTS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold these signals back until the block ends; for clean-up."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
