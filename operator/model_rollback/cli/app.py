"""The commands of `kubectl rollback`: their options and exit codes. What they do is in modules of its own."""

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from model_rollback.api.v1alpha1 import ModelDeployment, RollbackPolicy
from model_rollback.cli import console, plotting, reporting
from model_rollback.cli.backtest_report import show_backtest
from model_rollback.cli.backtesting import Backtest, backtest
from model_rollback.cli.documents import UnusableError, expand, read
from model_rollback.cli.history import Window
from model_rollback.cli.linting import lint as run_lint
from model_rollback.cli.policies import find_policy
from model_rollback.cli.scripts import Script, load
from model_rollback.cli.sources import moment, open_source, span
from model_rollback.cli.testing import play
from model_rollback.core.presets import resolve_policy
from model_rollback.errors import MetricsError
from model_rollback.ports import MetricsSource

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


PolicyFile = Annotated[
    str,
    typer.Option(
        "--file", "-f", help="The policy, and if it is there its ModelDeployment; - for standard input."
    ),
]
Since = Annotated[str, typer.Option(help="How far back, e.g. 720h, or a time, e.g. 2026-01-05T10:00:00Z.")]
Until = Annotated[str, typer.Option(help="The end, as a time or as long ago. Default: now.")]
Step = Annotated[str, typer.Option(help="Time between two evaluations. Default: the policy's interval.")]
Prometheus = Annotated[
    str, typer.Option(envvar="PROMETHEUS_URL", help="The Prometheus to ask, e.g. http://localhost:9090.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="The operator's configuration file: its metricsSources, with their credentials, are asked."
    ),
]
TargetSeen = Annotated[
    str,
    typer.Option(
        help="When the version to go back to was last live, for triggers with baseline: {version: Target}; "
        "a time, or as long before the end. Default: when the window begins."
    ),
]
PolicyName = Annotated[str | None, typer.Option(help="The policy's name, when the file holds several.")]
Plot = Annotated[
    Path | None, typer.Option(help="Draw it into this file (.svg, .png or .pdf); needs the extra `report`.")
]


@app.command("backtest")
def run_backtest(
    file: PolicyFile,
    since: Since = "24h",
    until: Until = "",
    step: Step = "",
    prometheus: Prometheus = "",
    config: Config = None,
    target_seen: TargetSeen = "",
    policy: PolicyName = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    plot: Plot = None,
) -> None:
    """Ask a Prometheus what it remembers and say when the policy would have rolled back, and on what.

    Exit codes: 0 it was replayed, whatever came out, 2 the policy, an option or the Prometheus cannot be used.
    """
    try:
        if plot is not None:
            plotting.require_matplotlib()
        found, system = find_policy(read(file), file, policy)
        moments = span(since, until, step, found.spec.interval, now=datetime.now(UTC))
        seen = moment("--target-seen", target_seen, moments.last) if target_seen else moments.first
        source = open_source(found.spec.metrics_source, prometheus, config)
        result = _replay(found, system, source, moments, seen)
        if plot is not None:
            plotting.plot(result, plot)
    except (UnusableError, MetricsError) as error:
        console.complain(str(error).splitlines())
        raise typer.Exit(2) from error
    if output is Output.JSON:
        console.show_json({"policy": found.metadata.name, **result.as_json()})
    else:
        show_backtest(found.metadata.name, result)


def _replay(
    policy: RollbackPolicy,
    system: ModelDeployment | None,
    source: MetricsSource,
    moments: Window,
    target_seen: datetime,
) -> Backtest:
    """With a progress bar. Raises MetricsError and UnusableError."""
    with Progress(console=console.err(), transient=True) as progress:
        task = progress.add_task("replaying", total=moments.steps)
        return asyncio.run(
            backtest(
                resolve_policy(policy.spec),
                system.spec if system is not None else None,
                source,
                moments,
                lambda done: progress.update(task, advance=done),
                target_seen=target_seen,
            )
        )
