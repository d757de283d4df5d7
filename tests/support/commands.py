"""kubectl and helm as callables on one cluster."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support import reading
from tests.support.asking import RefusedError

Document = Mapping[str, Any]


class CommandError(AssertionError):
    """A command ended with a code other than 0; the message holds the command and its stderr."""

    def __init__(self, command: list[str], code: int, stderr: str) -> None:
        self.code = code
        self.stderr = stderr
        super().__init__(f"`{' '.join(command)}` ended with code {code}: {stderr.strip()}")


@dataclass(frozen=True)
class Command:
    """A program with the environment that points it at one cluster.

    Calling it runs the program with the given words and returns its stdout; raises CommandError.
    """

    program: Path
    environment: Mapping[str, str]

    def __call__(
        self, *words: str | Path, namespace: str | None = None, stdin: str = "", timeout: float = 120
    ) -> str:
        command = [str(self.program), *(["--namespace", namespace] if namespace else []), *map(str, words)]
        done = subprocess.run(
            command,
            env=dict(self.environment),
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode != 0:
            raise CommandError([self.program.name, *command[1:]], done.returncode, done.stderr)
        return done.stdout

    def as_identity(self, kubeconfig: Path) -> Self:
        """The same program with other credentials (see `service_account_kubeconfig`)."""
        return replace(self, environment={**self.environment, "KUBECONFIG": str(kubeconfig)})


class Kubectl(Command):
    """`kubectl("get", "pods", namespace=…)`; `.json` parses, `.apply` takes manifests."""

    @property
    def kubeconfig(self) -> Path:
        """Where it finds the API server and its credentials."""
        return Path(self.environment["KUBECONFIG"])

    def json(self, *words: str, namespace: str | None = None) -> Any:
        """The answer to `kubectl WORDS -o json`, parsed; a plain `get` is asked without a process."""
        read = reading.as_read(words)
        if read is None:
            return json.loads(self(*words, "--output=json", namespace=namespace))
        kinds, names, selector = read
        try:
            return reading.get(self.kubeconfig, kinds, *names, namespace=namespace, selector=selector)
        except RefusedError as error:
            raise CommandError([self.program.name, *words], 1, str(error)) from None

    def apply(
        self,
        manifest: str | Path | Document | Iterable[Document],
        *options: str,
        namespace: str | None = None,
    ) -> str:
        """`kubectl apply` of YAML text, of a file, of one object or of several."""
        return self("apply", "--filename=-", *options, namespace=namespace, stdin=as_yaml(manifest))


class Helm(Command):
    """`helm("install", "name", chart, namespace=…)`."""


def as_yaml(manifest: str | Path | Document | Iterable[Document]) -> str:
    """A stream of YAML documents."""
    if isinstance(manifest, Path):
        return manifest.read_text()
    if isinstance(manifest, str):
        return manifest
    return yaml.safe_dump_all([manifest] if isinstance(manifest, Mapping) else manifest, sort_keys=False)
