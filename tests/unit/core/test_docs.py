"""The generated pages say what the tables of the core say, and `--check` notices when they do not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.core.events import EVENTS
from model_rollback.core.gates import GATES
from model_rollback.core.machine import TRANSITIONS
from model_rollback.core.outcome import OUTCOMES

ROOT = Path(__file__).resolve().parents[3]
PAGES = (
    "gates.md",
    "kubectl-rollback.md",
    "policy-tests.md",
    "presets.md",
    "target-kinds.md",
    "results.md",
    "rollback-states.md",
    "settings.md",
    "metrics.md",
    "../explanation/safety.md",
)


def generate(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "hack/docs/generate.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path):
    """A folder with the pages as they are committed."""
    for name in PAGES:
        (tmp_path / "docs/reference").mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs/explanation").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "docs/reference" / name, tmp_path / "docs/reference" / name)
    return tmp_path


def test_the_committed_pages_are_up_to_date(checkout):
    checked = generate("--check", "--root", checkout)

    assert checked.returncode == 0, checked.stdout


def test_pages_that_were_changed_by_hand_are_noticed_and_mended(checkout):
    right = {name: (checkout / "docs/reference" / name).read_text() for name in PAGES}
    for name, text in right.items():
        (checkout / "docs/reference" / name).write_text(f"{text}by hand in {name}\n")

    checked = generate("--check", "--root", checkout)
    written = generate("--root", checkout)

    assert checked.returncode == 1
    assert [name for name in PAGES if f"-by hand in {name}" not in checked.stdout] == []
    assert written.returncode == 0
    assert {name: (checkout / "docs/reference" / name).read_text() for name in PAGES} == right


def test_one_changed_page_is_enough_for_the_check_to_fail(checkout):
    path = checkout / "docs/reference" / PAGES[-1]
    path.write_text(path.read_text() + "by hand\n")

    assert generate("--check", "--root", checkout).returncode == 1


def page(name):
    return (ROOT / "docs/reference" / name).read_text()


def test_every_state_and_arrow_is_in_the_diagram():
    text = page("rollback-states.md")

    for (phase, _), afters in TRANSITIONS.items():
        for after in afters:
            assert f"    {phase} --> {after}: " in text
    labels = [line.split(": ", 1)[1] for line in text.splitlines() if " --> " in line and ": " in line]
    assert labels
    assert not [label for label in labels if ":" in label or ";" in label], "Mermaid cannot read these"


def test_every_result_and_event_has_its_row():
    lines = page("results.md").splitlines()

    for result, outcome in OUTCOMES.items():
        assert [line for line in lines if line.startswith(f"| `{result}`") and f"`{outcome.reason}`" in line]
    for reason in EVENTS:
        assert [line for line in lines if line.startswith(f"| `{reason}` |")]


def test_the_gates_are_listed_in_their_order():
    rows = [
        line.split(" | ")[1]
        for line in page("gates.md").splitlines()
        if line.startswith("| ") and "`" in line
    ]

    assert rows[1:] == [f"`{Reason(''.join(w.capitalize() for w in g.__name__.split('_')))}`" for g in GATES]


def test_each_setting_names_its_key_and_its_variable():
    text = page("settings.md")

    assert "| `http.port` | `MODEL_ROLLBACK_HTTP__PORT` | number | `8080` |" in text
    assert "| `metricsSources.<name>.timeout` |  | duration | `5s` |" in text
