"""The commands of `kubectl rollback`: their options and exit codes. What they do is in modules of its own."""

from enum import StrEnum
from typing import Annotated

import typer

from model_rollback.cli import console
from model_rollback.cli.linting import lint as run_lint

app = typer.Typer(
    help="Checks, tests and replays rollback policies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Output(StrEnum):
    """How a command prints."""

    TEXT = "text"
    JSON = "json"


Files = Annotated[
    list[str], typer.Argument(metavar="FILE…", help="Files, directories, or - for standard input.")
]


@app.callback()
def root() -> None:
    """Checks, tests and replays rollback policies."""


@app.command()
def lint(
    files: Files,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
) -> None:
    """Say what is wrong with policies and ModelDeployments, where, and how to mend it. Needs no cluster.

    Exit codes: 0 no errors (with --strict: no warnings either), 1 errors, 2 a file cannot be read or there is
    nothing to check.
    """
    report = run_lint(files)
    if output is Output.JSON:
        console.show_json(
            {
                "checked": report.checked,
                "findings": [f.as_json() for f in report.findings],
                "unusable": list(report.unusable),
            }
        )
    else:
        console.show_lint(report)
    console.complain(report.unusable)
    if not report.checked and not report.unusable:
        console.complain(["the files hold no object of modelrollback.dev"])
    raise typer.Exit(report.exit_code(strict=strict))
