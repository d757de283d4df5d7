"""Takes each guard away in a scratch copy and runs its tests there; exit code 1 when a mutant survives or cannot be
applied.

    python -m hack.mutate [--jobs N] [WORD]      only mutants whose guard or file has WORD in it

The tests that are named are run without any mutant first: a test that is red anyway proves nothing.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hack.mutate.scratch import FAILED, NEVER_ENDED, PASSED, Run, Scratch, preload
from hack.mutate.table import Mutant, TableError, drift, load


def main(arguments: list[str] | None = None) -> int:
    """0: every mutant was noticed; 1: one was not, or could not be applied, or the tests are red without any."""
    parser = argparse.ArgumentParser(
        prog="make mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("word", nargs="?", default="")
    options = parser.parse_args(arguments)
    try:
        mutants = [m for m in load()[1] if options.word in f"{m.guard} {m.file}"]
    except TableError as error:
        print(f"mutate: {error}", file=sys.stderr)
        return 1
    if not mutants:
        print(f"mutate: no guard and no file has {options.word!r} in it", file=sys.stderr)
        return 1
    for problem in (p for m in mutants for p in drift(m)):
        print(f"mutate: the table must follow the code: {problem}", file=sys.stderr)
    began = time.monotonic()
    preload()
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        scratches = [Scratch(Path(folder) / str(number)) for number in range(options.jobs)]
        if not _is_green(scratches[0], mutants):
            return 1
        survivors = _judge_all(scratches, mutants)
    noticed = len(mutants) - survivors
    print(f"{noticed} of {len(mutants)} mutants turned their tests red ({time.monotonic() - began:.0f} s)")
    return int(survivors > 0)


def _is_green(scratch: Scratch, mutants: Sequence[Mutant]) -> bool:
    run = scratch.start(list(dict.fromkeys(t for m in mutants for t in m.tests)))
    while not run.is_over():
        time.sleep(0.02)
    if run.code != PASSED:
        print(f"mutate: the tests are not green without any mutant:\n{_end_of(run)}", file=sys.stderr)
    return run.code == PASSED


def _judge_all(scratches: Sequence[Scratch], mutants: Sequence[Mutant]) -> int:
    """How many survive. Each copy has one mutant at a time."""
    left, survivors = list(mutants), 0
    under_way: dict[Scratch, tuple[Mutant, Run]] = {}
    while left or under_way:
        for scratch in scratches:
            if scratch not in under_way and left:
                mutant = left.pop(0)
                problem = scratch.spoil(mutant)
                if problem:
                    survivors += _tell(mutant, problem, "")
                else:
                    under_way[scratch] = (mutant, scratch.start(mutant.tests))
            elif scratch in under_way and under_way[scratch][1].is_over():
                mutant, run = under_way.pop(scratch)
                scratch.mend()
                survivors += _tell(mutant, *_verdict(run))
        time.sleep(0.02)
    return survivors


def _verdict(run: Run) -> tuple[str, str]:
    """Why the mutant was not noticed, or empty; and the first test that turned red."""
    if run.code == FAILED:
        reds = [
            line for line in run.log.read_text(errors="replace").splitlines() if line.startswith("FAILED ")
        ]
        return "", reds[0].removeprefix("FAILED ").partition(" - ")[0] if reds else "a fixture failed"
    if run.code == PASSED:
        return "survives: its tests pass without the guard", ""
    how = "they did not end" if run.code == NEVER_ENDED else f"pytest's exit code {run.code}"
    return f"breaks its tests instead of failing them ({how}):\n{_end_of(run)}", ""


def _end_of(run: Run) -> str:
    return run.log.read_text(errors="replace")[-3000:]


def _tell(mutant: Mutant, problem: str, red: str) -> bool:
    law = f"law {mutant.law}" if mutant.law else ""
    print(
        f"{'SURVIVES' if problem else 'red':<9}{law:<6} {mutant.guard}\n{'':<16}{problem or red}", flush=True
    )
    return bool(problem)


if __name__ == "__main__":
    sys.exit(main())
