"""What tests fork is a process like any other, and does not outlive a test run that is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forked import ForkedModule
from tests.support.places import ROOT
from tests.support.waiting import wait_until

STARTER = """
import os, sys, time
from pathlib import Path
from tests.support.forked import ForkedModule
if __name__ == "__main__":
    sleeping = ["-s", "import time", "-n1", "-r1", "time.sleep(600)"]
    forked = ForkedModule("timeit", sleeping, os.environ, Path(sys.argv[1]))
    print(forked.pid, flush=True)
    time.sleep(600)
"""


def test_a_module_runs_with_its_arguments_and_says_how_it_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    forked = ForkedModule("timeit", ["-n1", "-r1", "pass"], os.environ, log)

    assert forked.wait(60) == 0
    assert "1 loop, best of 1" in log.read_text()


def test_a_signal_ends_it_as_it_ends_any_process(tmp_path: Path) -> None:
    sleeping = ["-s", "import time", "-n1", "-r1", "time.sleep(600)"]
    forked = ForkedModule("timeit", sleeping, os.environ, tmp_path / "log")

    with pytest.raises(subprocess.TimeoutExpired):
        forked.wait(0.1)
    assert forked.poll() is None
    forked.kill()
    assert forked.wait(60) == -signal.SIGKILL
    forked.send_signal(signal.SIGTERM)  # nobody is there any more


def test_it_ends_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    starter = tmp_path / "starter.py"
    starter.write_text(STARTER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "operator")])}
    with subprocess.Popen(
        [sys.executable, starter, tmp_path / "log"], env=environment, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        forked = int(run.stdout.readline())
        assert _lives(forked)
        run.kill()
    wait_until(lambda: not _lives(forked), 60, describe="the forked process to end")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
