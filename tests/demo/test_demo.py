"""`make demo` as a newcomer runs it: a process, its output, its exit code, and what it leaves behind."""

import os
import re
import signal
from pathlib import Path

import pytest
import requests

from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

STORY = [
    r"0\.9\d\d",  # the accuracy of the good version, before
    r"{bad} is deployed",
    r"users are answered by {bad}",
    r"accuracy of {bad} is 0\.[0-8]\d\d, below 0\.90",
    r"trigger accuracy: Pending",
    r"trigger accuracy: Breached",
    r"Rollback recommender-[0-9a-f]{{10}} started: {bad} → {good}",
    r"pod template of {good} is written",
    r"component model: back at {good}",
    r"validation: wait 3s .* pass for 5s: ready, answers, recovered",
    r"Rollback Succeeded: {good} is back and validated",
    r"\$ kubectl -n shop get mdep,rbpol,rbk",
    r"rollback\S+ +recommender +{bad} +{good} +Incident +Succeeded",
    r"RollbackStarted .*ComponentReverted .*ValidationPassed .*RollbackSucceeded",
    r"time to detect +[\d.]+ s after {bad} was deployed",
    r"time to restore +[\d.]+ s after {bad} was deployed",
    r"{good} answers again, and it is proven",
]


def tells(output: str, *, good: str, bad: str) -> None:
    """The whole story, in its order."""
    at = 0
    for line in STORY:
        found = re.compile(line.format(good=good, bad=bad), re.DOTALL).search(output, at)
        assert found, f"{line.format(good=good, bad=bad)!r} is not told, or too early:\n{output}"
        at = found.start()


def kept_logs(output: str) -> set[str]:
    """Names of the files in the folder that the output names."""
    kept = re.search(r"logs of cluster play are kept in (\S+)", output)
    assert kept, output
    return {log.name for log in Path(kept[1]).iterdir()}


def test_a_worse_model_is_rolled_back_and_nothing_is_left(play):
    demo = play()

    assert demo.end() == 0, demo.output
    tells(demo.output, good="v12", bad="v13")
    detect = re.search(r"time to detect +([\d.]+) s .*, ([\d.]+) s after the first bad", demo.output)
    restore = re.search(r"time to restore +([\d.]+) s", demo.output)
    assert detect
    assert restore
    assert 5 <= float(detect[2]) <= float(detect[1]) <= float(restore[1])
    assert "system:serviceaccount:model-rollback:rollback-model-rollback-operator" in demo.output
    assert not demo.folder.exists()
    assert not demo.members()


def test_without_the_policy_the_worse_model_stays_and_the_demo_fails(play):
    demo = play(environment={"DEMO_WITHOUT_POLICY": "1"})

    assert demo.end() == 1
    assert "no Rollback was started; v13 answers over HTTP, not v12" in demo.output
    assert {"demo-operator.log", "demo-model-server.log", "demo-traffic.log"} <= kept_logs(demo.output)
    assert not demo.members()


def test_swapped_model_files_swap_who_is_rolled_back_and_a_kept_demo_can_be_broken_again(play):
    demo = play("--good", "v13", "--swap-model-files", "--keep")

    assert demo.end() == 0, demo.output
    tells(demo.output, good="v13", bad="v12")
    health = re.search(r"curl -s (\S+)", demo.output)
    assert health
    assert requests.get(health[1], timeout=10).json()["model_version"] == "v13"

    use = re.search(r"^ *(eval .*)$", demo.output, re.MULTILINE)
    again = re.search(r"Break it again.*?\n(.*? patch .*?)\n(.*? apply .*?)\n", demo.output, re.DOTALL)
    assert use
    assert again
    demo.shell(f"{use[1]} && {again[1]} && {again[2]}")
    results = f"{use[1]} && kubectl -n shop get rbk -o jsonpath='{{.items[*].status.result}}'"
    wait_until(
        lambda: demo.shell(results),
        120,
        accept=lambda seen: seen.split() == ["Succeeded"] * 2,
        describe="two Rollbacks",
    )
    assert requests.get(health[1], timeout=10).json()["model_version"] == "v13"

    second = play("--keep")
    assert second.end() == 1
    assert "is still up: use it with" in second.output
    assert requests.get(health[1], timeout=10).ok

    demo.shell(demo.output.rstrip().splitlines()[-1])
    assert not demo.members()
    assert not demo.folder.exists()


def test_stopping_it_takes_everything_down(play):
    demo = play()
    demo.read_until("the operator started")
    assert {"model_server", "model_rollback"} <= {
        word for line in demo.members().values() for word in line.split()
    }

    demo.stop(signal.SIGINT)

    assert demo.end() == 128 + signal.SIGINT
    assert "Stopped" in demo.output
    assert not demo.folder.exists()
    assert not demo.members()


def test_an_operator_that_dies_fails_the_demo_and_leaves_its_log(play):
    demo = play()
    demo.read_until("to the API server it is")
    (operator,) = (pid for pid, line in demo.members().items() if "-m model_rollback" in line)

    os.kill(operator, signal.SIGKILL)

    assert demo.end() == 1
    assert "the operator ended with code -9; its last lines:" in demo.output
    assert "demo-operator.log" in kept_logs(demo.output)
    assert not demo.members()
