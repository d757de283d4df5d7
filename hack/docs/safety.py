"""The page on the safety laws, from the table of mutants that `make mutate` runs on."""

import sys
from pathlib import Path
from textwrap import fill
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hack.mutate.table import Mutant, TableError, load


def page(table: Any) -> str:
    """For each law: how it is held, its guards, and the tests that fail without them."""
    try:
        laws, mutants = load()
    except TableError as error:
        sys.exit(str(error))
    sections = "\n".join(
        f"## {number}. {words['law'].strip()}\n\n{fill(words['how'], width=120)}\n\n"
        f"{table(('guard', 'in', 'tests that fail without it'), *map(_row, _of(number, mutants)))}"
        for number, words in sorted(laws.items())
    )
    others = table(("guard", "in", "tests that fail without it"), *map(_row, _of(0, mutants)))
    return f"""# Safety: the laws, and what holds them

An operator that changes production by itself at night must be worth more trust than the alarm that it replaces. These
are its laws. Each is held by guards in the code, and each guard by tests that fail without it. That is no promise but a
check: `make mutate` copies the checkout, takes one guard away, runs its tests, and goes on with the next. A guard that
can be taken away without a test turning red, or whose code is no longer there, fails the run; CI runs it each time.

The table behind this page is `hack/mutate/mutants.yaml`. The tests named here need no cluster; the same laws are played
on a real API server by `tests/scenario` and, with the operator killed at every write, by `tests/kills`.

{sections}
## Gates that serve no law but people's will

{others}
What each gate means: [gates](../reference/gates.md).
"""


def _of(law: int, mutants: list[Mutant]) -> list[Mutant]:
    return [m for m in mutants if m.law == law]


def _row(mutant: Mutant) -> tuple[str, str, str]:
    file = mutant.file.removeprefix("operator/model_rollback/")
    tests = " ".join(f"`{test.removeprefix('tests/unit/')}`" for test in mutant.tests)
    return mutant.guard, f"`{file}`", tests
