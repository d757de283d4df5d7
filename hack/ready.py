#!/usr/bin/env python3
"""Make a fresh checkout ready step by step, show what each step took, then run a command in it.

    python3 hack/ready.py [--tools] [--times] [COMMAND ...]

Steps: uv (an own copy in the cache when PATH has none that fits), the locked Python dependencies in `.venv`,
and with `--tools` the Kubernetes tools of `hack/localcluster`. COMMAND then takes the place of this process,
with `.venv` and uv first on its PATH. Steps under half a second are only shown with `--times`.

Needs Python 3.11 and nothing else: it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, TypeVar

Result = TypeVar("Result")

UV_VERSION = "0.13.9"
"""The uv that is installed when PATH has none that fits."""

UV_OLDEST = (0, 9)
"""The oldest uv that reads this project's `uv.lock`."""

ROOT = Path(__file__).resolve().parent.parent
LOCALCLUSTER = ROOT / "hack" / "localcluster" / "localcluster"
SHOWN_FROM_SECONDS = 0.5


class NotReadyError(Exception):
    """A step failed; the message says what to do about it."""


def cache_directory() -> Path:
    """The project's folder below the user's cache, outside every checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "model-rollback"


def run(*command: str | Path, advice: str) -> None:
    """Run one command of a step; its output goes to stderr, so that COMMAND alone owns stdout.

    The command has a session of its own: Ctrl-C reaches this process alone, which ends the command and all that it
    started in an orderly way, instead of every one of them dying with a traceback.
    """
    printable = " ".join(str(word) for word in command)
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
        )
    except OSError as error:
        raise NotReadyError(f"`{printable}` cannot be started: {error}. {advice}") from None
    try:
        code = process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if code != 0:
        raise NotReadyError(f"`{printable}` ended with code {code}. {advice}")


def fits(uv: str) -> bool:
    """Whether this uv answers and is new enough for the lock file."""
    try:
        answer = subprocess.run(
            [uv, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.match(r"uv (\d+)\.(\d+)", answer)
    return found is not None and (int(found[1]), int(found[2])) >= UV_OLDEST


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock file: a second checkout that starts at the same time waits and then finds the work done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def install_uv(home: Path) -> None:
    """Install the pinned uv below `home`; on failure or Ctrl-C nothing is left behind.

    In a virtual environment where Python can make one, else with the machine's own pip into a plain folder: Debian
    ships `venv` and `pip` as packages of their own.
    """
    building = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    wanted = f"uv=={UV_VERSION}"
    advice = "pip could not fetch uv: check the network, the proxy and pip's settings (or put uv on PATH)."
    try:
        if find_spec("ensurepip"):
            run(
                sys.executable,
                "-m",
                "venv",
                building,
                advice="Python cannot make a virtual environment here.",
            )
            run(building / "bin" / "python", "-m", "pip", "install", "--quiet", wanted, advice=advice)
        elif find_spec("pip"):
            run(
                sys.executable, "-m", "pip", "install", "--quiet", "--target", building, wanted, advice=advice
            )
        else:
            raise NotReadyError(
                f"{sys.executable} has neither venv nor pip, so uv cannot be installed. "
                "On Debian and Ubuntu: apt-get install python3-venv (or put uv on PATH)."
            )
        building.rename(home)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def find_or_install_uv() -> Path:
    """The uv to use: the one on PATH if it fits, else the pinned one from the cache."""
    on_path = shutil.which("uv")
    if on_path and fits(on_path):
        return Path(on_path)
    home = cache_directory() / f"uv-{UV_VERSION}"
    uv = home / "bin" / "uv"
    with alone(home.parent / f"{home.name}.lock"):
        if not fits(str(uv)):
            shutil.rmtree(home, ignore_errors=True)
            install_uv(home)
    return uv


def sync_dependencies(uv: Path) -> None:
    """Bring `.venv` to exactly what `uv.lock` says."""
    run(
        *(uv, "sync", "--locked", "--quiet"),
        advice="Was pyproject.toml changed? Then `uv lock`. Else see uv's message above: often the network.",
    )


def build_tools() -> None:
    """Build (or find in the cache) the tools of the local control plane."""
    run(LOCALCLUSTER, "build", advice="The messages above are from hack/localcluster.")


class Steps:
    """Runs steps and tells their times on stderr."""

    def __init__(self, *, show_all: bool) -> None:
        self._show_all = show_all
        self._started = time.monotonic()

    def step(self, title: str, action: Callable[[], Result]) -> Result:
        started = time.monotonic()
        result = action()
        self._tell(title, time.monotonic() - started)
        return result

    def finish(self) -> None:
        self._tell("ready", time.monotonic() - self._started)

    def _tell(self, title: str, seconds: float) -> None:
        if self._show_all or seconds >= SHOWN_FROM_SECONDS:
            print(f"{title:<28}{seconds:8.1f} s", file=sys.stderr, flush=True)


def become(command: list[str], uv: Path) -> NoReturn:
    """Replace this process by `command`, with the project's environment first on PATH."""
    environment = ROOT / os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
    os.environ["VIRTUAL_ENV"] = str(environment)
    os.environ["PATH"] = os.pathsep.join(
        [str(environment / "bin"), str(uv.parent), os.environ.get("PATH", "")]
    )
    os.environ.pop("PYTHONHOME", None)
    # Without bytecode each of the hundreds of Python processes of a test run compiles all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.chdir(ROOT)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise NotReadyError(f"`{command[0]}` cannot be started: {error}") from None


def main(arguments: list[str]) -> int:
    """Take the options from the front of `arguments`; the rest is the command, untouched."""
    wanted = set()
    while arguments and arguments[0] in {"--tools", "--times"}:
        wanted.add(arguments.pop(0))
    if arguments and arguments[0].startswith("-"):
        print(f"ready: unknown option {arguments[0]}\n\n{__doc__}", file=sys.stderr)
        return 2
    steps = Steps(show_all="--times" in wanted)
    uv = steps.step("uv", find_or_install_uv)
    steps.step("Python dependencies", lambda: sync_dependencies(uv))
    if "--tools" in wanted:
        steps.step("Kubernetes tools", build_tools)
    steps.finish()
    if arguments:
        become(arguments, uv)
    return 0


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - runs on whatever python3 the machine has
        sys.exit(f"ready: Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except NotReadyError as failure:
        sys.exit(f"ready: {failure}")
    except KeyboardInterrupt:
        print("ready: stopped; a step that was not finished starts again next time", file=sys.stderr)
        sys.exit(130)
