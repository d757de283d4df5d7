"""The Dockerfile and what it relies on must not drift apart. `hack/image/build` builds it for real."""

import fnmatch
import json
import re
import tomllib

import yaml

from tests.chart.conftest import CHART
from tests.support.places import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [
    tuple(line.split(maxsplit=1))
    for line in DOCKERFILE.splitlines()
    if line.strip() and not line.startswith("#")
]
LAST_STAGE = INSTRUCTIONS[max(i for i, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]


def values(word: str, instructions: list = INSTRUCTIONS) -> list[str]:
    return [value for name, value in instructions if name == word]


def argument(name: str) -> str:
    (value,) = (value.removeprefix(f"{name}=") for value in values("ARG") if value.startswith(f"{name}="))
    return value


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_both_stages_use_one_python_that_the_project_supports():
    bases = {base.split(" AS ")[0] for base in values("FROM")}

    (base,) = bases
    version = re.fullmatch(r"python:(3\.\d+)(\.\d+)?-slim-[a-z]+", base)
    assert version, f"{base} is not a slim Python pinned to a version and a release of Debian"
    assert f"Programming Language :: Python :: {version[1]}" in project()["classifiers"]


def test_the_image_runs_the_operator_without_root_and_without_a_shell():
    user = values("USER", LAST_STAGE)[-1]

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), f"USER {user}: runAsNonRoot needs a number that is not 0"
    assert json.loads(values("ENTRYPOINT", LAST_STAGE)[-1]) == ["python", "-m", "model_rollback"]
    assert "PYTHONSAFEPATH=1" in values("ENV", LAST_STAGE)[0].split()
    assert values("RUN", LAST_STAGE) == []
    assert [source for source in values("COPY", LAST_STAGE) if not source.startswith("--from=build ")] == []


def test_versions_are_the_same_everywhere():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    ready = re.search(r'^UV_VERSION = "(.+)"$', (ROOT / "hack/ready.py").read_text(), re.MULTILINE)

    assert ready
    assert argument("UV_VERSION") == ready[1]
    assert argument("VERSION") == project()["version"] == chart["appVersion"] == chart["version"]


def test_what_is_copied_exists_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    copied = [
        name for value in values("COPY") if not value.startswith("--from") for name in value.split()[:-1]
    ]

    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, f"{name} is not let through by .dockerignore"
    assert any(fnmatch.fnmatch("operator/model_rollback/__pycache__", pattern) for pattern in ignored)
