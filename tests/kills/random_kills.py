"""SIGKILL at random moments, up to three in one run. Not part of CI: `make faults`, `FAULTS=1000 make faults`.

Not collected by name; it runs when it is named.
"""

import os
import random
import time

import pytest

from tests.kills.random_moments import random_kills
from tests.kills.series import run_all, run_clean
from tests.kills.trial import Ground

pytestmark = [pytest.mark.cluster, pytest.mark.kills, pytest.mark.timeout(0)]

MOST_KILLS = 3


def test_random_kills_leave_one_whole_rollback(
    ground: Ground, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = int(os.environ.get("FAULTS", "100"))
    seed = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(2**32)))
    began = time.monotonic()
    clean, bad_pins = run_clean(ground)

    failed = killed = 0
    kills = random_kills(seed, runs, len(clean.requests), most=MOST_KILLS)
    for verdict in run_all(ground, kills, bad_pins):
        failed += bool(verdict.wrong)
        killed += getattr(verdict.fault, "kills", 0)
        with subtests.test(str(verdict.fault)):
            assert not verdict.wrong, verdict.wrong
    with capsys.disabled():
        print(
            f"\n{killed} random kills in {runs} runs and {time.monotonic() - began:.0f} s, seed {seed}: "
            f"{failed} runs went wrong"
        )
        if not failed:
            print(f"with 95 % confidence fewer than {3 / runs:.2%} of such runs go wrong (rule of three)")
