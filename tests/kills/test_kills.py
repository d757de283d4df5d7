"""SIGKILL at every write: whatever the operator was about to say or had just said, one rollback happens, whole."""

import functools
import time

import pytest

from tests.kills.boundaries import Boundary, boundaries_of
from tests.kills.faults import Kill
from tests.kills.series import run_all, run_clean
from tests.kills.trial import Ground

pytestmark = [pytest.mark.cluster, pytest.mark.kills, pytest.mark.timeout(1200)]


ESSENTIAL = {
    Boundary("POST", "controllerrevisions", "keep v12"),
    Boundary("PATCH", "modeldeployments/status", "lock set"),
    Boundary("POST", "rollbacks", "create"),
    Boundary("PATCH", "rollbacks/status", "procedure"),
    Boundary("PATCH", "modeldeployments/status", "quarantined"),
    Boundary("PATCH", "deployments", "dry run"),
    Boundary("PATCH", "rollbacks/status", "step revert-model Running"),
    Boundary("PATCH", "deployments", "revert"),
    Boundary("PATCH", "rollbacks/status", "step revert-model writtenAt"),
    Boundary("PATCH", "rollbacks/status", "step revert-model Succeeded"),
    Boundary("PATCH", "rollbacks/status", "step validate Running"),
    Boundary("PATCH", "rollbacks/status", "result Succeeded"),
    Boundary("PATCH", "rollbackpolicies/status", "lastRollback"),
    Boundary("PATCH", "modeldeployments/status", "lock cleared"),
}
"""What every rollback writes, at whatever pace; what else a run shows is tried too, and may be missed."""


def test_a_kill_at_any_write_leaves_one_whole_rollback(
    ground: Ground, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    clean, bad_pins = run_clean(ground)
    boundaries = list(dict.fromkeys([*boundaries_of(clean.requests, ESSENTIAL), *sorted(ESSENTIAL, key=str)]))
    with capsys.disabled():
        print(f"\n{len(boundaries)} writes of a run (Events left out, dry runs included):")
        print("\n".join(f"  {number:2} {boundary}" for number, boundary in enumerate(boundaries, 1)))

    kills = [functools.partial(Kill, b, stage) for b in boundaries for stage in ("before", "after")]
    verdicts = []
    for verdict in run_all(ground, kills, bad_pins):
        verdicts.append(verdict)
        with subtests.test(str(verdict.fault)):
            assert not verdict.wrong, verdict.wrong
            assert not (verdict.missed and verdict.fault.boundary in ESSENTIAL), verdict.missed
    with capsys.disabled():
        print(
            f"{len(kills)} kills in {sum(v.attempts for v in verdicts)} runs and {time.monotonic() - began:.0f} s, "
            f"{sum(bool(v.wrong) for v in verdicts)} went wrong"
        )
        print("\n".join(f"  not tried: {v.missed}" for v in verdicts if v.missed))
