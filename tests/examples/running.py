"""The example's programs as processes of their own, started as its README says."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "model-server"

STOP_TIMEOUT = 30.0


@dataclass(frozen=True)
class Program:
    """A running `python -m MODULE`, with its stderr in a file."""

    process: subprocess.Popen[str]
    stderr: Path

    def first_line(self) -> str:
        """The first line on stdout; empty when the program ended without one."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def log(self) -> str:
        """What it wrote to stderr so far."""
        return self.stderr.read_text()

    def terminate(self) -> int:
        """SIGTERM; answers the exit code."""
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT)

    def close(self) -> None:
        """Stop it at once if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT)
        assert self.process.stdout
        self.process.stdout.close()


def run(
    module: str, *words: str | Path, stderr: Path, environment: Mapping[str, str] | None = None
) -> Program:
    """Start `python -m MODULE WORDS` with the example on its path."""
    with stderr.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, words)],
            env={**(environment or os.environ), "PYTHONPATH": str(EXAMPLE)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    return Program(process, stderr)
