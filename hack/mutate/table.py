"""The table of mutants: the safety laws, the guards that hold them, and the tests that fail without each guard."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from model_rollback.core.gates import GATES, Gate

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = Path(__file__).with_name("mutants.yaml")
PACKAGE: Final = "operator/model_rollback"
LAWS: Final = 8


@dataclass(frozen=True)
class Mutant:
    """One guard, how it is taken away, and what must notice.

    Attributes:
        law: the number of the safety law that the guard serves; 0: a gate that serves none of them.
        guard: what it does, in words.
        file: below ROOT. text: what is replaced; it stands there exactly once.
        tests: pytest selections, at least one test of which must fail.
    """

    law: int
    guard: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


class TableError(Exception):
    """The table does not fit the code; the message says what to mend."""


def load() -> tuple[dict[int, dict[str, str]], list[Mutant]]:
    """Law → its `law` and `how` in words, and all mutants: the written ones, then one for each gate.

    Raises:
        TableError: a law or a gate has no mutant.
    """
    data = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    laws = {int(number): words for number, words in data["laws"].items()}
    mutants = [
        Mutant(m["law"], m["guard"], f"{PACKAGE}/{m['file']}", m["text"], m["replacement"], tuple(m["tests"]))
        for m in data["mutants"]
    ]
    mutants += _gates(data["gates"])
    unguarded = sorted(set(range(1, LAWS + 1)) - {m.law for m in mutants})
    if unguarded or sorted(laws) != list(range(1, LAWS + 1)):
        raise TableError(f"{FILE.name}: laws without a mutant or without words: {unguarded or sorted(laws)}")
    return laws, mutants


def drift(mutant: Mutant) -> Iterator[str]:
    """What of a mutant is not in the code any more; the table must follow it."""
    file = ROOT / mutant.file
    found = file.read_text(encoding="utf-8").count(mutant.text) if file.is_file() else 0
    if found != 1:
        yield f"- {mutant.guard}: its text stands {found} times in {mutant.file}, not once: {mutant.text!r}"
    for test in mutant.tests:
        name, _, function = test.partition("::")
        source = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).is_file() else ""
        if not source or (function and f"def {function.partition('[')[0]}(" not in source):
            yield f"- {mutant.guard}: there is no test {test}"


def _gates(rows: dict[str, Any]) -> Iterator[Mutant]:
    """A gate is taken away by letting everything pass."""
    known = {gate.__name__: gate for gate in GATES}
    if known.keys() != rows.keys():
        raise TableError(
            f"{FILE.name}: gates without a mutant: {sorted(known.keys() - rows.keys())}; "
            f"mutants of gates that there are not: {sorted(rows.keys() - known.keys())}"
        )
    for name, row in rows.items():
        head = f"def {name}(o: Observation) -> Blocked | None:\n"
        yield Mutant(
            row.get("law", 0), f"gate `{_reason(known[name])}`", _file_of(known[name]), head,
            f"{head}    return None\n", tuple(row["tests"]),
        )  # fmt: skip


def _reason(gate: Gate) -> str:
    return "".join(word.capitalize() for word in gate.__name__.split("_"))


def _file_of(gate: Gate) -> str:
    return str(Path(inspect.getfile(gate)).resolve().relative_to(ROOT))
