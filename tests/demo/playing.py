"""The demo as a process, as `make demo` starts it, with a state folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support import places

NAME = "play"
TIMEOUT = 250.0
_MARK = "LOCALCLUSTER_COMPONENT_OF"


class Play:
    """One running demo. `output` is what it has said so far, as far as it was read."""

    def __init__(self, state: Path, *flags: str, environment: Mapping[str, str] | None = None) -> None:
        places.binaries()  # says so where the tools are not built
        self.state = state
        self.output = ""
        self._environment = {**os.environ, **(environment or {}), "XDG_STATE_HOME": str(state)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hack.demo", "--name", NAME, *flags],
            cwd=places.ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def folder(self) -> Path:
        """Of its cluster."""
        return self.state / "model-rollback/localcluster" / NAME

    def read_until(self, words: str) -> None:
        """Reads its output until a line holds `words`; fails when it ends before."""
        assert self._process.stdout
        for line in self._process.stdout:
            self.output += line
            if words in line:
                return
        raise AssertionError(f"the demo ended before it said {words!r}:\n{self.output}")

    def end(self) -> int:
        """Waits for its end; answers the exit code."""
        rest, _ = self._process.communicate(timeout=TIMEOUT)
        self.output += rest
        return self._process.returncode

    def stop(self, request: signal.Signals) -> None:
        """Sends a signal to the demo alone."""
        self._process.send_signal(request)

    def members(self) -> dict[int, str]:
        """Command lines of the processes that live and end with its cluster, by id."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"{_MARK}={self.folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ").strip()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def shell(self, commands: str) -> str:
        """Runs what a reader would type in a terminal in the checkout; fails when the last command does."""
        done = subprocess.run(
            ["bash", "-c", commands],
            cwd=places.ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        """Ends all of it, whatever state it is in."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self.shell(f"hack/localcluster/localcluster down {NAME}")
