"""The commands of `kubectl rollback`: their options and exit codes. What they do is in modules of its own."""

from enum import StrEnum
from typing import Annotated

import typer

from model_rollback.cli import console, reporting
from model_rollback.cli.documents import UnusableError, expand
from model_rollback.cli.linting import lint as run_lint
from model_rollback.cli.scripts import Script, load
from model_rollback.cli.testing import play

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


class Report(StrEnum):
    """How `test` prints."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


@app.command("test")
def run_tests(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…", help="Policy tests; - for standard input; of a directory, all *-test.yaml."
        ),
    ],
    output: Annotated[Report, typer.Option("--output", "-o", help="text, json or junit.")] = Report.TEXT,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what happened also where all expectations hold.")
    ] = False,
) -> None:
    """Play policies against answers that Prometheus would have given, without a cluster.

    Exit codes: 0 every expectation holds, 1 one does not, 2 a file cannot be used.
    """
    scripts: list[Script] = []
    problems: list[str] = []
    try:
        names = expand(files, ending="-test")
    except UnusableError as error:
        console.complain([str(error)])
        raise typer.Exit(2) from error
    for name in names:
        try:
            scripts += load(name)
        except UnusableError as error:
            problems += str(error).splitlines()
    results = [play(script) for script in scripts]
    if output is Report.JSON:
        console.show_json({"tests": [r.as_json() for r in results], "unusable": problems})
    elif output is Report.JUNIT:
        print(reporting.junit(results))
    else:
        reporting.show_tests(results, verbose=verbose)
    console.complain(problems)
    raise typer.Exit(2 if problems else int(not all(r.passed for r in results)))
