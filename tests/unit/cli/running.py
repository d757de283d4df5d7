"""Runs a command of the plugin in this process, as a shell would: its exit code and what it printed."""

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from model_rollback.cli.app import app


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*words: str, stdin: str | None = None) -> Outcome:
    result = CliRunner().invoke(app, list(words), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)
