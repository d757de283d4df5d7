"""A copy of the checkout that may be spoilt, and tests that are run in it.

Starting pytest costs more than most of these tests. So this process imports what is not ours once, and each run is a
fork of it that imports the copy's own code anew.
"""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.mutate.table import ROOT, Mutant

PASSED: Final = 0
FAILED: Final = 1
NEVER_ENDED: Final = -1

_COPIED: Final = ("operator", "tests", "hack", "crds", "charts", "docs", "examples", "pyproject.toml")
_OURS: Final = ("model_rollback", "tests", "hack", "plugin")
_NOT_OURS: Final = (
    *("_pytest.assertion.rewrite", "aiohttp", "hypothesis", "kopf", "kubernetes", "prometheus_api_client"),
    *(
        "pydantic_settings",
        "pykube",
        "pytest",
        "pytest_asyncio.plugin",
        "pytest_httpserver",
        "pytest_kind.plugin",
    ),
    *("pytest_timeout", "structlog", "typer", "xdist", "yaml"),
)
_PATIENCE: Final = 300.0


def preload() -> None:
    """Imports what the tests need and what is not ours; what is missing is imported by the tests themselves."""
    for name in _NOT_OURS:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


@dataclass
class Run:
    """pytest in a fork. `code`: its exit code once `is_over`."""

    pid: int
    log: Path
    began: float
    code: int = NEVER_ENDED

    def is_over(self) -> bool:
        """Whether it has ended; one that takes too long is ended."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
            return True
        if time.monotonic() - self.began > _PATIENCE:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return True
        return False


class Scratch:
    """One copy; one run at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spoilt: tuple[Path, str] | None = None
        for name in _COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(source, target)
        # Bytecode is compared with its source by hash: a change within the same second must count.
        compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
        subprocess.run([*compiling, "operator", "tests", "hack"], cwd=folder, check=True)

    def spoil(self, mutant: Mutant) -> str:
        """Applies the mutant; why it cannot be, or empty."""
        file = self.folder / mutant.file
        source = file.read_text(encoding="utf-8") if file.is_file() else ""
        found = source.count(mutant.text)
        if found != 1:
            return f"cannot be applied: its text stands {found} times in {mutant.file}"
        self._spoilt = (file, source)
        file.write_text(source.replace(mutant.text, mutant.replacement), encoding="utf-8")
        return ""

    def mend(self) -> None:
        """Takes the mutant back."""
        if self._spoilt is not None:
            file, source = self._spoilt
            file.write_text(source, encoding="utf-8")
            self._spoilt = None

    def start(self, selections: Sequence[str]) -> Run:
        """Begins to run these tests."""
        log = self.folder / "output"
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _test(self.folder, log, selections)
        return Run(pid, log, began)


def _test(folder: Path, log: Path, selections: Sequence[str]) -> None:
    """In the fork; never returns."""
    code = 70
    try:
        os.chdir(folder)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.path[:] = [
            p for p in sys.path if p and not Path(p).is_relative_to(ROOT / "operator") and Path(p) != ROOT
        ]
        for name in [n for n in sys.modules if n.partition(".")[0] in _OURS]:
            del sys.modules[name]
        pytest = importlib.import_module("pytest")
        options = (
            "-q",
            "-x",
            "--assert=plain",
            "-p",
            "no:cacheprovider",
            "--tb=short",
            "--hypothesis-seed=0",
        )
        code = int(pytest.main([*options, *selections]))
    except BaseException:  # noqa: BLE001 - whatever it is, the parent reads it in the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
