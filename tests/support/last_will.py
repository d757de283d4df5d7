"""Run a shell command when the process that started this one has ended, however that was.

python -m tests.support.last_will PID COMMAND
"""

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def last_will(command: str) -> Iterator[None]:
    """The shell runs `command` if this process ends before the context does; SIGKILL leaves no time for more."""
    executor = subprocess.Popen(
        [sys.executable, "-m", "tests.support.last_will", str(os.getpid()), command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        executor.kill()
        executor.wait()


def main(pid: int, command: str) -> int:
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        if os.getppid() == pid:  # else it has ended already, and the number may be another's
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            waiting.poll()
    return subprocess.run(["sh", "-c", command], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
