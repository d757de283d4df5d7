"""Progress on standard error; standard output belongs to what programs read."""

import sys


def say(text: str) -> None:
    """Print one line of progress to standard error at once, on a terminal or not."""
    print(f"localcluster: {text}", file=sys.stderr, flush=True)


def elapsed(seconds: float) -> str:
    """Write a duration as `7.4 s` or `3 min 05 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
