"""A local cluster of the demo's own, and the processes that live and end with it.

They carry the cluster's mark, as its own components do: `localcluster down` ends them too, and so does its watchdog
when the demo is killed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

Seen = TypeVar("Seen")

ROOT = Path(__file__).resolve().parents[2]
LOCALCLUSTER = ROOT / "hack/localcluster/localcluster"

KEPT_NAME = "demo"
"""The cluster of `make demo KEEP=1`, which `make demo-stop` ends."""

_MARK = "LOCALCLUSTER_COMPONENT_OF"
_STOP_TIMEOUT = 15.0
_COMMAND_TIMEOUT = 180.0
_POLL_SECONDS = 0.1


class DemoError(Exception):
    """The demo cannot go on; the message says what happened."""


def ask(*command: str | Path, environment: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """Run a program to its end and return its stdout. Ctrl-C ends the program first, in an orderly way.

    Raises DemoError with its stderr.
    """
    words = [str(word) for word in command]
    printable = " ".join([Path(words[0]).name, *words[1:]])
    process = subprocess.Popen(
        words,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(stdin, timeout=_COMMAND_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise DemoError(f"`{printable}` did not end within {_COMMAND_TIMEOUT:.0f} s") from None
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate()
    if process.returncode != 0:
        raise DemoError(f"`{printable}` ended with code {process.returncode}: {errors.strip()}")
    return output


@dataclass(frozen=True)
class Place:
    """Where things of the cluster are."""

    folder: Path
    programs: Path
    kubeconfig: Path
    prometheus_url: str
    prometheus_configuration: Path


class Sandbox:
    """One cluster, its command line tools and the demo's processes."""

    def __init__(self, name: str, *, keep: bool) -> None:
        self.name = name
        self._life = ["--keep"] if keep else ["--owner", str(os.getpid())]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._place: Place | None = None
        self._is_up = False

    def up(self) -> None:
        """Returns when pods get ready in the cluster and Prometheus answers.

        Raises DemoError when there is a cluster of that name, which is then left alone.
        """
        for line in ask(LOCALCLUSTER, "list").splitlines():
            name, state, *_ = line.split("\t")
            if name == self.name and state != "orphaned":
                raise DemoError(
                    f"the demo `{name}` is still up: use it with "
                    f'`eval "$(hack/localcluster/localcluster env {name})"`, or end it with `{self.end_command}`'
                )
        ask(LOCALCLUSTER, "up", self.name, *self._life)
        self._is_up = True
        about = json.loads(ask(LOCALCLUSTER, "env", self.name, "--json"))
        self._place = Place(
            folder=Path(about["LOCALCLUSTER_DIR"]),
            programs=Path(about["LOCALCLUSTER_BIN"]),
            kubeconfig=Path(about["KUBECONFIG"]),
            prometheus_url=about["PROMETHEUS_URL"],
            prometheus_configuration=Path(about["LOCALCLUSTER_PROMETHEUS_CONFIG"]),
        )

    def down(self, *, keep_logs: bool) -> str:
        """Ends the processes, then the cluster with all its files; a cluster that did not come up has removed itself.

        Answers in words where the logs are kept, or why the cluster is still there.
        """
        if not self._is_up:
            return ""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
        done = subprocess.run(
            [LOCALCLUSTER, "down", self.name, *(["--keep-logs"] if keep_logs else [])],
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if done.returncode != 0:
            return f"the cluster could not be removed: {done.stderr.strip()}"
        kept = next((line for line in done.stderr.splitlines() if "are kept in" in line), "")
        return kept.removeprefix("localcluster: ")

    @property
    def place(self) -> Place:
        """Where things are, once it is up."""
        if self._place is None:
            raise DemoError("the cluster is not up")
        return self._place

    @property
    def end_command(self) -> str:
        """What ends it when it is kept."""
        if self.name == KEPT_NAME:
            return "make demo-stop"
        return f"hack/localcluster/localcluster down {self.name}"

    def file(self, name: str) -> Path:
        """A file of the demo, removed with the cluster."""
        folder = self.place.folder / "demo"
        folder.mkdir(exist_ok=True)
        return folder / name

    def log(self, process: str) -> Path:
        """The log of one of the demo's processes; `down` can keep it."""
        return self.place.folder / "logs" / f"demo-{process.replace(' ', '-')}.log"

    def kubectl(self, *words: str | Path, stdin: str = "") -> str:
        """kubectl as the cluster's administrator."""
        return ask(self.place.programs / "kubectl", *words, environment=self._administrator(), stdin=stdin)

    def helm(self, *words: str | Path, stdin: str = "") -> str:
        """helm as the cluster's administrator, with nothing of the user's own settings."""
        return ask(self.place.programs / "helm", *words, environment=self._administrator(), stdin=stdin)

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        """The answer to an instant query: `metric` (labels) and `value` (time, text) of each series."""
        answer = requests.get(
            f"{self.place.prometheus_url}/api/v1/query", params={"query": query}, timeout=10
        )
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def scrape(self, job: str, address: str) -> None:
        """Lets Prometheus scrape one more target, every second."""
        file = self.place.prometheus_configuration
        configuration = json.loads(file.read_text())
        configuration["scrape_configs"].append(
            {"job_name": job, "scrape_interval": "1s", "static_configs": [{"targets": [address]}]}
        )
        file.write_text(json.dumps(configuration))
        requests.post(f"{self.place.prometheus_url}/-/reload", timeout=10).raise_for_status()

    def start(self, process: str, module: str, *words: str | Path, environment: Mapping[str, str]) -> None:
        """`python -m MODULE WORDS` in the background, with exactly this environment besides the mark."""
        with self.log(process).open("wb") as log:
            self._processes[process] = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, words)],
                cwd=self.place.folder,
                env={**environment, _MARK: str(self.place.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def require_alive(self) -> None:
        """Raises DemoError when one of the processes has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                last = "\n".join(self.log(name).read_text(errors="replace").splitlines()[-5:])
                raise DemoError(f"the {name} ended with code {process.returncode}; its last lines:\n{last}")

    def until(
        self,
        look: Callable[[], Seen],
        what: str,
        *,
        timeout: float = 90.0,
        explain: Callable[[], str] = lambda: "",
    ) -> Seen:
        """The first true answer of `look`. Raises DemoError after `timeout` seconds, or when a process ended."""
        deadline = time.monotonic() + timeout
        while True:
            late = time.monotonic() > deadline
            seen = look()
            if seen:
                return seen
            self.require_alive()
            if late:
                raise DemoError(f"waited {timeout:.0f} s for {what}. {explain()}".strip())
            time.sleep(_POLL_SECONDS)

    def _administrator(self) -> dict[str, str]:
        home = self.file("home")
        return {
            "PATH": os.pathsep.join([str(self.place.programs), os.environ.get("PATH", os.defpath)]),
            "HOME": str(home),
            "KUBECONFIG": str(self.place.kubeconfig),
        }
