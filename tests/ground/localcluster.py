"""What the tests of `hack/localcluster` share: running its commands, and processes that stand for owners."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hack.localcluster.controlplane.places import SOURCE

COMMAND = (sys.executable, str(SOURCE / "localcluster"))
KIND = (sys.executable, str(SOURCE / "kind"))


def run(
    *arguments: str, front: tuple[str, ...] = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; standard output and error are kept apart."""
    return subprocess.run(
        [*front, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@contextmanager
def started(
    *arguments: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one command in the background, as a shell's foreground job would; what it says goes to `log`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=os.environ | (environment or {}),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@contextmanager
def sleeping(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is killed."""
    with subprocess.Popen(["sleep", "300"], env=os.environ | environment) as process:
        yield process
        process.kill()


def running_in(folder: Path) -> list[str]:
    """Command lines of all processes that name `folder` in their arguments or their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                arguments = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in arguments + environment:
                found.append(arguments.replace(b"\0", b" ").decode())
    return found
