"""SIGKILL at every write: whatever the operator was about to say or had just said, one rollback happens, whole."""

import functools
import time

import pytest

from tests.kills.boundaries import boundaries_of
from tests.kills.faults import Kill
from tests.kills.series import run_all, run_clean
from tests.kills.trial import Ground

pytestmark = [pytest.mark.cluster, pytest.mark.kills, pytest.mark.timeout(1200)]


def test_a_kill_at_any_write_leaves_one_whole_rollback(
    ground: Ground, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    clean, bad_pins = run_clean(ground)
    boundaries = boundaries_of(clean.requests)
    with capsys.disabled():
        print(f"\n{len(boundaries)} writes of a clean run (Events left out, dry runs included):")
        print("\n".join(f"  {number:2} {boundary}" for number, boundary in enumerate(boundaries, 1)))
    assert any(b.resource == "deployments" and b.purpose == "revert" for b in boundaries)

    kills = [functools.partial(Kill, b, stage) for b in boundaries for stage in ("before", "after")]
    attempts = failed = 0
    for verdict in run_all(ground, kills, bad_pins):
        attempts += verdict.attempts
        failed += bool(verdict.wrong)
        with subtests.test(str(verdict.fault)):
            assert not verdict.wrong, verdict.wrong
    with capsys.disabled():
        print(
            f"{len(kills)} kills in {attempts} runs and {time.monotonic() - began:.0f} s, {failed} went wrong"
        )
