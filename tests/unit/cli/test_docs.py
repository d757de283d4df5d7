"""The how-to shows what the commands really do: its files are played, its output compared."""

import textwrap
from pathlib import Path

import pytest

from tests.unit.cli.running import run

PAGE = (Path(__file__).resolve().parents[3] / "docs/how-to/test-a-policy.md").read_text()
POLICY = """\
apiVersion: modelrollback.dev/v1alpha1
kind: ModelDeployment
metadata: {name: recommender}
spec:
  components:
  - {name: model, targetRef: {apiVersion: apps/v1, kind: Deployment, name: recommender}}
---
apiVersion: modelrollback.dev/v1alpha1
kind: RollbackPolicy
metadata: {name: recommender}
spec:
  modelDeploymentRef: {name: recommender}
  triggers:
  - name: accuracy
    query: sum by (model) (model_quality{metric="accuracy"})
    breach: {operator: LessThan, threshold: "0.90"}
    for: 2m
"""


def block(first: str) -> str:
    """The indented block that begins with a line, without the indentation."""
    lines = PAGE.splitlines()
    start = lines.index(f"    {first}")
    block = []
    for line in lines[start:]:
        if line and not line.startswith("    "):
            break
        block.append(line)
    return textwrap.dedent("\n".join(block)).strip() + "\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recommender.yaml").write_text(POLICY)


def test_the_test_fails_as_shown_and_passes_when_mended():
    text = block("name: a bad release goes back, an outage does not")
    Path("recommender-test.yaml").write_text(text)
    shown = block("$ kubectl rollback test recommender-test.yaml").split("\n", 1)[1]

    assert run("test", "recommender-test.yaml").out == shown

    Path("recommender-test.yaml").write_text(text.replace("at: 3m", "at: 4m"))
    assert run("test", "recommender-test.yaml").code == 0


def test_lint_finds_what_is_shown():
    broken = POLICY.replace("(model) (", "(model (").replace("threshold", "treshold")
    Path("recommender.yaml").write_text(broken)
    shown = block("$ kubectl rollback lint recommender.yaml").split("\n", 1)[1]

    assert run("lint", "recommender.yaml").out == shown
