"""Where the cluster of a test run comes from: the local control plane, kind, or a context that was named."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

ROOT = Path(__file__).resolve().parents[2]
LOCALCLUSTER = ROOT / "hack/localcluster/localcluster"
KIND_FRONT = ROOT / "hack/localcluster/kind"
KIND_HOW_TO = "docs/how-to/run-the-tests-on-kind.md"

Place = Literal["local", "kind", "context"]


class PlaceError(Exception):
    """There is no cluster where the command line says; the message says what to do."""


@dataclass(frozen=True)
class KindPrograms:
    """What pytest-kind calls."""

    kind: Path
    kubectl: Path


def docker_answers() -> bool:
    """Whether a Docker engine can be reached, not merely whether there is a client."""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", "version"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def decide(wanted: str) -> Place:
    """`auto` means kind where it can run, else the local control plane."""
    if wanted == "local":
        return "local"
    missing = ""
    if shutil.which("kind") is None:
        missing = "`kind` is not on PATH"
    elif not docker_answers():
        missing = "no Docker engine answers (`docker version`)"
    if wanted == "kind" and missing:
        raise PlaceError(f"--cluster-in=kind: {missing}; see {KIND_HOW_TO}")
    return "local" if missing else "kind"


def localcluster(*words: str) -> str:
    """Ask hack/localcluster/localcluster; its stdout without the last newline."""
    try:
        done = subprocess.run(
            [LOCALCLUSTER, *words], capture_output=True, text=True, timeout=120, check=False
        )
    except OSError as error:
        raise PlaceError(f"{LOCALCLUSTER} cannot be started: {error}") from None
    if done.returncode != 0:
        raise PlaceError(
            f"`localcluster {' '.join(words)}` ended with code {done.returncode}: {done.stderr.strip()}\n"
            "The tools are built by `make test`, or by hand with `hack/localcluster/localcluster build`."
        )
    return done.stdout.strip()


def binaries() -> Path:
    """The folder with kubectl, helm and Prometheus; raises PlaceError when they are not built yet."""
    return Path(localcluster("bin"))


def local_cluster(name: str) -> dict[str, Any]:
    """What the local control plane says about one of its clusters."""
    about: dict[str, Any] = json.loads(localcluster("env", name, "--json"))
    return about


def down_with_logs(name: str) -> str:
    """End a local cluster and keep its logs; answers with the tool's own words about where they are."""
    done = subprocess.run(
        [LOCALCLUSTER, "down", name, "--keep-logs"], capture_output=True, text=True, timeout=120, check=False
    )
    return done.stderr.strip()


def programs(place: Place, tools: Path) -> KindPrograms:
    """The programs for pytest-kind in `place`."""
    kind = KIND_FRONT if place == "local" else Path(shutil.which("kind") or "kind")
    return KindPrograms(kind=kind, kubectl=tools / "kubectl")


def contexts() -> list[str]:
    """The contexts of the user's own kubeconfig files."""
    files = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")
    found: list[str] = []
    for name in files.split(os.pathsep):
        if name and Path(name).is_file():
            found += [
                entry["name"]
                for entry in (yaml.safe_load(Path(name).read_text()) or {}).get("contexts") or []
            ]
    return found


def require_context(name: str) -> None:
    """Raises PlaceError unless the user has a context of that name."""
    known = contexts()
    if name not in known:
        raise PlaceError(
            f"--use-context={name}: no such context; your kubeconfig has: {', '.join(known) or 'none'}"
        )


def extract_context(name: str, kubectl: Path, target: Path) -> None:
    """Write a kubeconfig with that context alone, so that nothing else can be reached by mistake."""
    done = subprocess.run(
        [kubectl, "config", "view", "--minify", "--flatten", "--raw", f"--context={name}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    target.touch(mode=0o600)
    target.write_text(done.stdout)
