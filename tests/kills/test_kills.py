"""SIGKILL at every write: whatever the operator was about to say or had just said, one rollback happens, whole."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.kills.boundaries import Boundary, boundaries_of
from tests.kills.faults import Kills, Point, RandomKills
from tests.kills.oracle import PinRecords
from tests.kills.random_moments import BOTH, random_kills, spread_kills
from tests.kills.series import Verdict, run_all, run_clean
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
KILLS_OF_A_RUN = 6
RANDOM_RUNS, KILLS_OF_A_RANDOM_RUN = 9, 4
FEWEST_RANDOM_KILLS = 30
SEED = 20261123
"""The same moments in every run of CI; `make faults` looks for others."""


def _several(points: Sequence[Point]) -> list[Callable[[], Kills]]:
    """Each point in one run, several of them in a run, far from each other; by turns a restart and a takeover."""
    runs = -(-len(points) // KILLS_OF_A_RUN)
    return [functools.partial(Kills, points[number::runs], BOTH[number % 2]) for number in range(runs)]


def _one_by_one(points: Sequence[Point]) -> list[Callable[[], Kills]]:
    return [functools.partial(Kills, [point], BOTH[number % 2]) for number, point in enumerate(points)]


class Judge:
    """Plays the faults, one subtest for each, and remembers."""

    def __init__(self, ground: Ground, bad_pins: PinRecords, subtests: pytest.Subtests) -> None:
        self._ground = ground
        self._bad_pins = bad_pins
        self._subtests = subtests
        self.verdicts: list[Verdict] = []

    def judge(self, make_faults: Sequence[Callable[[], Fault]]) -> None:
        for verdict in run_all(self._ground, make_faults, self._bad_pins):
            self.verdicts.append(verdict)
            with self._subtests.test(str(verdict.fault)):
                assert not verdict.wrong, verdict.wrong

    def struck(self) -> set[Point]:
        """The points at which an operator was killed so far."""
        return {p for v in self.verdicts if isinstance(v.fault, Kills) for p in v.fault.struck}

    def random_kills(self) -> int:
        return sum(v.fault.kills for v in self.verdicts if isinstance(v.fault, RandomKills))


def test_kills_at_every_write_and_at_random_moments_leave_one_whole_rollback(
    ground: Ground, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    clean, bad_pins = run_clean(ground)
    boundaries = list(dict.fromkeys([*boundaries_of(clean.requests, ESSENTIAL), *sorted(ESSENTIAL, key=str)]))
    with capsys.disabled():
        print(f"\n{len(boundaries)} writes of a run (Events left out, dry runs included):")
        print("\n".join(f"  {number:2} {boundary}" for number, boundary in enumerate(boundaries, 1)))

    points = [Point(boundary, stage) for boundary in boundaries for stage in STAGES]
    at_random = spread_kills(SEED, RANDOM_RUNS, len(clean.requests), each=KILLS_OF_A_RANDOM_RUN)
    judge = Judge(ground, bad_pins, subtests)
    judge.judge([*_several(points), *at_random])
    # What was passed over, because another pace or a kill before told it together with something else.
    again = _one_by_one([point for point in points if point not in judge.struck()])
    # Runs that were over before the last of their moments came.
    short = max(0, FEWEST_RANDOM_KILLS - judge.random_kills())
    judge.judge([*again, *random_kills(SEED, short, len(clean.requests) // 2, most=1)])

    missed = [point for point in points if point not in judge.struck()]
    with capsys.disabled():
        print(
            f"{len(judge.struck())} kills at writes and {judge.random_kills()} at random moments (seed {SEED}) in "
            f"{sum(v.attempts for v in judge.verdicts)} runs and {time.monotonic() - began:.0f} s: "
            f"{sum(bool(v.wrong) for v in judge.verdicts)} went wrong"
        )
        print("\n".join(f"  its moment never came: {point}" for point in missed))
    assert not [str(point) for point in missed if point.boundary in ESSENTIAL]
    assert judge.random_kills() >= FEWEST_RANDOM_KILLS
