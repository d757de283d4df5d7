"""SIGKILL at every write: whatever the operator was about to say or had just said, one rollback happens, whole."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.kills.boundaries import Boundary, boundaries_of
from tests.kills.faults import Kill
from tests.kills.random_moments import BOTH, random_kills
from tests.kills.series import run_all, run_clean
from tests.kills.systems import COMPONENTS
from tests.kills.trial import Fault, Ground
from tests.support.api_proxy import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.kills, pytest.mark.timeout(1200)]


def _essential() -> Iterator[Boundary]:
    """What every rollback writes, at whatever pace; what else a run shows is tried too, and may be missed."""
    yield Boundary("POST", "controllerrevisions", "keep v12")
    yield Boundary("PATCH", "modeldeployments/status", "lock set")
    yield Boundary("POST", "rollbacks", "create")
    yield Boundary("PATCH", "rollbacks/status", "procedure")
    yield Boundary("PATCH", "modeldeployments/status", "quarantined")
    for component, name in COMPONENTS.items():
        yield Boundary("PATCH", "deployments", f"dry run of {name}")
        yield Boundary("PATCH", "rollbacks/status", f"step revert-{component} Running")
        yield Boundary("PATCH", "deployments", f"revert of {name}")
        yield Boundary("PATCH", "rollbacks/status", f"step revert-{component} writtenAt")
        yield Boundary("PATCH", "rollbacks/status", f"step revert-{component} Succeeded")
    yield Boundary("PATCH", "rollbacks/status", "step validate Running")
    yield Boundary("PATCH", "rollbacks/status", "result Succeeded")
    yield Boundary("PATCH", "rollbackpolicies/status", "lastRollback")
    yield Boundary("PATCH", "modeldeployments/status", "lock cleared")


ESSENTIAL = frozenset(_essential())
STAGES: tuple[Stage, Stage] = ("before", "after")
RANDOM_RUNS = 30
SEED = 20261123
"""The same moments in every run of CI; `make faults` looks for others."""


def _at_every_write(boundaries: Sequence[Boundary]) -> Iterator[Callable[[], Fault]]:
    """Both stages of each; by turns one with a restart and the other one with a takeover."""
    for number, boundary in enumerate(boundaries):
        for stage, other in zip(STAGES, (0, 1), strict=True):
            yield functools.partial(Kill, boundary, stage, BOTH[(number + other) % 2])


def test_kills_at_every_write_and_at_random_moments_leave_one_whole_rollback(
    ground: Ground, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    clean, bad_pins = run_clean(ground)
    boundaries = list(dict.fromkeys([*boundaries_of(clean.requests, ESSENTIAL), *sorted(ESSENTIAL, key=str)]))
    with capsys.disabled():
        print(f"\n{len(boundaries)} writes of a run (Events left out, dry runs included):")
        print("\n".join(f"  {number:2} {boundary}" for number, boundary in enumerate(boundaries, 1)))

    at_writes = list(_at_every_write(boundaries))
    at_random = random_kills(SEED, RANDOM_RUNS, len(clean.requests), most=1)
    verdicts = []
    for verdict in run_all(ground, [*at_writes, *at_random], bad_pins):
        verdicts.append(verdict)
        with subtests.test(str(verdict.fault)):
            assert not verdict.wrong, verdict.wrong
            must_come = getattr(verdict.fault, "boundary", None) in ESSENTIAL
            assert not (verdict.missed and must_come), verdict.missed
    with capsys.disabled():
        print(
            f"{len(at_writes)} kills at writes and {len(at_random)} at random moments (seed {SEED}) in "
            f"{sum(v.attempts for v in verdicts)} runs and {time.monotonic() - began:.0f} s: "
            f"{sum(bool(v.wrong) for v in verdicts)} went wrong"
        )
        print("\n".join(f"  not tried: {v.missed}" for v in verdicts if v.missed))
