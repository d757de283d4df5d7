"""The shape of the repository that everything else relies on."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMED_PACKAGES = ["kopf", "kubernetes", "prometheus-api-client", "pydantic", "pytest-kind", "structlog"]
"""The packages that the project promises to stand on."""

REGISTRY_HOSTS = re.compile(
    "|".join(
        host.replace(" ", r"\.")
        for host in (
            "pypi org",
            "files pythonhosted org",
            "proxy golang org",
            "sum golang org",
            "registry npmjs org",
            "registry-1 docker io",
        )
    )
)
"""Written with blanks, so that this file does not name them either."""

MAY_NAME_REGISTRIES = {"uv.lock", "go.sum"}


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def pythons() -> list[str]:
    """Every Python 3.x of this machine, by its real path: those on PATH and those of pyenv."""
    folders = [
        *os.environ["PATH"].split(os.pathsep),
        *map(str, (Path.home() / ".pyenv/versions").glob("3.*/bin")),
    ]
    candidates = [sys.executable]
    for folder in folders:
        candidates += map(str, Path(folder).glob("python3.[0-9]*"))
    found: dict[str, str] = {}
    for candidate in candidates:
        if re.fullmatch(r"python3(\.\d+)?", Path(candidate).name):
            answer = run(candidate, "-c", "import sys; print(sys.base_prefix, *sys.version_info[:3])")
            if answer.returncode == 0:
                found.setdefault(answer.stdout, candidate)
    return list(found.values())


def tracked_files() -> list[Path]:
    """The files that git knows, or would add; safe in a clone that belongs to another user."""
    listing = run(
        *("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    )
    assert listing.returncode == 0, listing.stderr
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_operator_is_a_source_root_and_no_package():
    assert (ROOT / "operator/model_rollback/__init__.py").is_file()
    assert not (ROOT / "operator/__init__.py").exists(), (
        "operator/__init__.py hides the standard library's `operator`: see docs/decisions/0001"
    )


def test_the_standard_library_still_works_from_the_repository_root(subtests):
    """Looked for in the test: as parameters they would be looked for by every worker of a run."""
    for python in pythons():
        with subtests.test(python):
            answer = run(python, "-c", "import collections, operator; print(operator.__file__)")

            assert answer.returncode == 0, answer.stderr
            assert not Path(answer.stdout.strip()).is_relative_to(ROOT / "operator")


def test_the_lock_holds_the_packages_that_the_project_promises():
    locked = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}

    assert set(NAMED_PACKAGES) <= locked


def test_the_import_contract_holds():
    answer = run(
        shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or "lint-imports", "--no-logo"
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "0 broken" in answer.stdout


def test_no_file_names_a_registry_except_the_locks():
    files = [path for path in tracked_files() if path.name not in MAY_NAME_REGISTRIES]
    assert len(files) > 20, "git lists too few files for this test to mean anything"

    naming = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path in files
        if (hit := REGISTRY_HOSTS.search(path.read_text(errors="ignore")))
    ]

    assert naming == []


def test_the_wheel_holds_the_typed_package_and_nothing_else(tmp_path):
    uv = shutil.which("uv")
    assert uv, "uv is not on PATH: run the tests with `make test` or `uv run pytest`"

    built = run(uv, "build", "--wheel", "--quiet", "--out-dir", tmp_path)
    assert built.returncode == 0, built.stderr

    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "model_rollback/py.typed" in names
    (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
    assert (
        "kubectl-rollback = model_rollback.cli.__main__:main"
        in zipfile.ZipFile(wheel).read(entry_points).decode()
    )
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"model_rollback"}
