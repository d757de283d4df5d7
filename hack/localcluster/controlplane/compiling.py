"""Runs `go`, shows how far it is, and leaves no child of it behind."""

import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .console import elapsed, say
from .errors import LocalClusterError
from .gotoolchain import GoToolchain
from .interruption import uninterrupted
from .places import SOURCE
from .processes import MARK, die_with_parent, end_members
from .toolset import BUILD_FLAGS

_TICK = 0.5
"""Seconds between looks at what is finished."""
_SAY_EVERY = 15.0
"""Seconds between lines of progress when nothing else is to be said."""


@contextmanager
def _own_group(
    command: Sequence[str | Path], environment: Mapping[str, str], out: int
) -> Iterator[subprocess.Popen[str]]:
    """Run `command` out of reach of the terminal's Ctrl-C; it and its children are dead when the block ends.

    `environment` has in MARK the folder that the processes belong to.
    """
    with subprocess.Popen(
        command,
        cwd=SOURCE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509  # no thread runs yet when this is called
    ) as process:
        try:
            yield process
        finally:
            with uninterrupted():
                end_members(Path(environment[MARK]))


def count_packages(
    go: GoToolchain, packages: Sequence[str], environment: Mapping[str, str], log: Path
) -> int:
    """Number of packages that the programs consist of; fetches the sources that are not there yet."""
    say("fetching the sources that are not in Go's module cache yet")
    started = time.monotonic()
    flags = [flag for flag in BUILD_FLAGS if flag.startswith("-tags")]
    command: list[str | Path] = [go.command, "list", "-deps", *flags, "-f", "{{.ImportPath}}", *packages]
    with _own_group(command, environment, subprocess.PIPE) as process:
        listing, complaints = process.communicate()
    log.write_text(complaints, encoding="utf-8")
    if process.returncode != 0:
        raise _failure("fetching the Go sources", complaints, log)
    total = len(listing.splitlines())
    say(f"sources complete after {elapsed(time.monotonic() - started)}: {total} packages")
    return total


def compile_packages(
    go: GoToolchain,
    packages: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    programs: Path,
    total: int,
    names: Mapping[str, str],
) -> None:
    """Build `packages` into the folder `programs`. `names`: file name that Go gives → name of the tool."""
    command: list[str | Path] = [
        go.command,
        "build",
        "-v",
        *BUILD_FLAGS,
        "-o",
        f"{programs}{os.sep}",
        *packages,
    ]
    progress = _Progress(programs, total, names)
    with (
        log.open("a", encoding="utf-8") as written,
        _own_group(command, environment, subprocess.DEVNULL) as process,
    ):
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        reader = threading.Thread(target=_read_lines, args=(process.stderr, lines), daemon=True)
        reader.start()
        while reader.is_alive() or not lines.empty():
            progress.look()
            for line in _take(lines):
                written.write(line)
                progress.seen(line.strip())
        code = process.wait()
    progress.look()
    if code != 0:
        raise _failure("compiling the tools", log.read_text(encoding="utf-8"), log)


def _read_lines(source: IO[str] | None, lines: queue.SimpleQueue[str]) -> None:
    for line in source or ():
        lines.put(line)


def _take(lines: queue.SimpleQueue[str]) -> Iterator[str]:
    """The lines that came within one tick."""
    end = time.monotonic() + _TICK
    while (left := end - time.monotonic()) > 0:
        try:
            yield lines.get(timeout=left)
        except queue.Empty:
            return


def _failure(doing: str, output: str, log: Path) -> LocalClusterError:
    tail = "\n".join(output.strip().splitlines()[-12:])
    return LocalClusterError(
        f"{doing} failed; the end of its log:\n{tail}\nThe whole log is kept: {log}\n"
        "If the module proxy could not be reached, look at `go env GOPROXY` and run this again: what is "
        "already there is not fetched or compiled twice. If the disk is full, `go clean -cache` makes room."
    )


class _Progress:
    """Says which program is finished, and from time to time how many packages are compiled."""

    def __init__(self, programs: Path, total: int, names: Mapping[str, str]) -> None:
        self._programs = programs
        self._total = total
        self._names = names
        self._finished: set[str] = set()
        self._compiled = 0
        self._last = ""
        self._started = self._said = time.monotonic()

    def seen(self, package: str) -> None:
        """Count one package that Go names as it compiles it."""
        if package and not package.startswith(("go:", "#")):
            self._compiled += 1
            self._last = package

    def look(self) -> None:
        """Report programs that appeared; without news, a line every 15 seconds."""
        now = time.monotonic()
        for built_as in sorted(program.name for program in self._programs.iterdir()):
            if built_as in self._names and built_as not in self._finished:
                self._finished.add(built_as)
                self._say(
                    now, f"{self._names[built_as]} is built ({len(self._finished)} of {len(self._names)})"
                )
        if now - self._said >= _SAY_EVERY:
            self._say(now, f"compiled {self._compiled} of at most {self._total} packages, now {self._last}")

    def _say(self, now: float, text: str) -> None:
        self._said = now
        say(f"[{elapsed(now - self._started)}] {text}")
