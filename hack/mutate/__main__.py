"""Applies each mutant in a scratch copy and runs its tests there; exit code 1 when one survives or cannot be applied.

    python -m hack.mutate [--jobs N] [WORD]      only mutants whose guard or file has WORD in it

The tests that are named are run without any mutant first: a test that is red anyway proves nothing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from hack.mutate.table import ROOT, Mutant, TableError, load

COPIED: Final = ("operator", "tests", "hack", "crds", "charts", "docs", "examples", "pyproject.toml")
PATIENCE: Final = 300
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Outcome:
    """What came of one mutant; `problem` is empty when its tests turned red. `red`: the first test that did."""

    mutant: Mutant
    problem: str
    red: str
    seconds: float


class Scratch:
    """A copy of the checkout that may be spoilt. Sources are compared with their bytecode by hash, not by time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(source, target)
        compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
        subprocess.run([*compiling, "operator", "tests", "hack"], cwd=folder, check=True)

    def test(self, selections: Sequence[str]) -> tuple[int, str]:
        """pytest's exit code and output."""
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
        options = ["-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=line", "--hypothesis-seed=0"]
        answer = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *selections],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return answer.returncode, answer.stdout + answer.stderr

    def judge(self, mutant: Mutant) -> Outcome:
        """Spoils the copy, tests it, and mends it."""
        began = time.monotonic()
        file = self.folder / mutant.file
        source = file.read_text(encoding="utf-8") if file.is_file() else ""
        found = source.count(mutant.text)
        if found != 1:
            return Outcome(
                mutant, f"cannot be applied: its text stands {found} times in {mutant.file}", "", 0
            )
        try:
            file.write_text(source.replace(mutant.text, mutant.replacement), encoding="utf-8")
            code, output = self.test(mutant.tests)
        finally:
            file.write_text(source, encoding="utf-8")
        problem = {PASSED: "survives: its tests pass without the guard", FAILED: ""}.get(
            code, f"breaks the tests instead of failing them (pytest's exit code {code}):\n{output[-2000:]}"
        )
        return Outcome(mutant, problem, _first_red(output), time.monotonic() - began)


def _first_red(output: str) -> str:
    reds = [line.removeprefix("FAILED ") for line in output.splitlines() if line.startswith("FAILED ")]
    return reds[0].partition(" - ")[0] if reds else ""


def main(arguments: list[str] | None = None) -> int:
    """0: every mutant was noticed; 1: one was not, or could not be applied, or the tests are red without any."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("word", nargs="?", default="")
    options = parser.parse_args(arguments)
    try:
        mutants = [m for m in load()[1] if options.word in f"{m.guard} {m.file}"]
    except TableError as error:
        print(f"mutate: {error}", file=sys.stderr)
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        scratches: SimpleQueue[Scratch] = SimpleQueue()
        for number in range(options.jobs):
            scratches.put(Scratch(Path(folder) / str(number)))
        if not _is_green_without(scratches, mutants):
            return 1
        survivors = _judge_all(scratches, mutants, options.jobs)
    noticed = len(mutants) - survivors
    print(f"{noticed} of {len(mutants)} mutants turned their tests red ({time.monotonic() - began:.0f} s)")
    return int(survivors > 0)


def _is_green_without(scratches: "SimpleQueue[Scratch]", mutants: Sequence[Mutant]) -> bool:
    scratch = scratches.get()
    code, output = scratch.test(list(dict.fromkeys(t for m in mutants for t in m.tests)))
    scratches.put(scratch)
    if code != PASSED:
        print(f"mutate: the tests are not green without any mutant:\n{output[-4000:]}", file=sys.stderr)
    return code == PASSED


def _judge_all(scratches: "SimpleQueue[Scratch]", mutants: Sequence[Mutant], jobs: int) -> int:
    def judge(mutant: Mutant) -> Outcome:
        scratch = scratches.get()
        try:
            return scratch.judge(mutant)
        finally:
            scratches.put(scratch)

    survivors = 0
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(judge, mutants):
            law = f"law {outcome.mutant.law}" if outcome.mutant.law else "-"
            word = "SURVIVES" if outcome.problem else "red"
            print(f"{word:<9}{law:<6} {outcome.mutant.guard}", flush=True)
            print(f"{'':<16}{outcome.problem or f'{outcome.red} ({outcome.seconds:.1f} s)'}", flush=True)
            survivors += bool(outcome.problem)
    return survivors


if __name__ == "__main__":
    sys.exit(main())
