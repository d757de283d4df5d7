"""The table of mutants, and the verdicts: what survives, breaks, or cannot be applied is told."""

import dataclasses

import pytest
from hack.mutate import __main__ as mutate
from hack.mutate import scratch, table
from hack.mutate.table import LAWS, Mutant, TableError, load

from model_rollback.core.gates import GATES

SLEEPY = Mutant(
    law=1,
    guard="an invented one",
    file="operator/model_rollback/errors.py",
    text="class NotFound(ClusterError):",
    replacement="class NotFound(ClusterError):\n    ",
    tests=("tests/unit/adapters/test_clock.py",),
)


def test_every_law_and_every_gate_has_a_mutant_that_fits_the_code():
    laws, mutants = load()

    assert sorted(laws) == list(range(1, LAWS + 1))
    assert [problem for mutant in mutants for problem in table.drift(mutant)] == []
    assert len({m.guard for m in mutants}) == len(mutants)
    assert len([m for m in mutants if m.guard.startswith("gate ")]) == len(GATES)


def test_a_gate_without_a_mutant_is_told(monkeypatch):
    def another_gate(o):
        """Nothing."""

    monkeypatch.setattr(table, "GATES", (*GATES, another_gate))

    with pytest.raises(TableError, match="another_gate"):
        load()


def test_a_word_that_no_guard_has_is_told(capsys):
    assert mutate.main(["no-such-guard"]) == 1
    assert "no guard and no file has 'no-such-guard' in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"text": "what nobody wrote"}, "its text stands 0 times"),
        ({"text": "class "}, "not once"),
        ({"tests": ("tests/unit/none.py",)}, "there is no test tests/unit/none.py"),
        ({"tests": ("tests/unit/adapters/test_clock.py::test_none",)}, "there is no test"),
    ],
)
def test_a_mutant_that_the_code_has_left_behind_is_told(change, says):
    assert says in "\n".join(table.drift(dataclasses.replace(SLEEPY, **change)))


@pytest.mark.parametrize(
    ("code", "log", "says"),
    [
        (scratch.FAILED, "FAILED tests/a.py::test_b - assert", ""),
        (scratch.PASSED, "1 passed", "survives"),
        (2, "SyntaxError", "breaks its tests instead of failing them (pytest's exit code 2)"),
        (scratch.NEVER_ENDED, "", "they did not end"),
    ],
)
def test_only_failing_tests_notice(tmp_path, code, log, says):
    (tmp_path / "output").write_text(log)

    problem, red = mutate._verdict(scratch.Run(0, tmp_path / "output", 0.0, code))

    assert says in problem
    assert bool(problem) == (code != scratch.FAILED)
    assert red == ("tests/a.py::test_b" if code == scratch.FAILED else "")
