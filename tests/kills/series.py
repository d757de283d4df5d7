"""Many trials at once, each judged by the oracle."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from tests.kills.oracle import PinRecords, steps_of, violations
from tests.kills.systems import COMPONENTS
from tests.kills.trial import Aftermath, Fault, FaultDidNotHappenError, Ground, Trial

AT_ONCE = int(os.environ.get("KILLS_AT_ONCE", max(4, 3 * (os.cpu_count() or 1))))
"""Trials mostly wait for ticks, so there may be more of them than processors."""

_ATTEMPTS = 3
"""What depends on the pace of a rollout may not come back in one run; it gets another two."""


@dataclass(frozen=True)
class Verdict:
    """`wrong` is empty when the trial was passed; else it holds the violations and the operators' logs.

    `missed`: why the fault's moment did not come in any attempt; nothing was tried then, and nothing went wrong.
    """

    fault: Fault
    wrong: str
    missed: str
    seconds: float
    attempts: int


def run_clean(ground: Ground) -> tuple[Aftermath, PinRecords]:
    """A run in which nothing goes wrong, and v13's pins as it recorded them; the oracle must be content with it."""
    trial = Trial(ground)
    after = trial.run()
    steps = steps_of(after.rollbacks[0])
    bad_pins: PinRecords = {name: steps[f"revert-{name}"]["before"] for name in COMPONENTS}
    wrong = violations(after, bad_pins)
    assert not wrong, f"a run without a fault: {wrong}\n{trial.logs()}"
    return after, bad_pins


def run_all(
    ground: Ground, make_faults: Sequence[Callable[[], Fault]], bad_pins: PinRecords
) -> Iterator[Verdict]:
    """A trial for each fault, in the order in which they end."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="trial") as pool:
        running = [pool.submit(_run_one, ground, make, bad_pins) for make in make_faults]
        for done in as_completed(running):
            yield done.result()


def _run_one(ground: Ground, make: Callable[[], Fault], bad_pins: PinRecords) -> Verdict:
    began = time.monotonic()
    for attempt in range(1, _ATTEMPTS + 1):
        fault, missed = make(), ""
        trial = Trial(ground, fault.succession)
        try:
            wrong = "\n".join(violations(trial.run(fault), bad_pins))
        except FaultDidNotHappenError as error:
            if attempt < _ATTEMPTS:
                continue
            wrong, missed = "", f"{error} in {_ATTEMPTS} runs"
        except Exception as error:  # noqa: BLE001 - a trial that broke is a verdict; the others go on
            wrong = f"{type(error).__name__}: {error}"
        report = f"{wrong}\n{trial.logs()}" if wrong else ""
        return Verdict(fault, report, missed, time.monotonic() - began, attempt)
    raise AssertionError("unreachable: the last attempt returns")
