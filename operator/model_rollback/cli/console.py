"""What commands print: text for people with colours on a terminal, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from model_rollback.cli.findings import Finding, Severity
from model_rollback.cli.linting import Report

_STYLES: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def out() -> Console:
    """Standard output; lines are never wrapped, so that other programs can read them."""
    return Console(soft_wrap=True, highlight=False, emoji=False)


def err() -> Console:
    """Standard error."""
    return Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def show_json(value: Any) -> None:
    """Indented JSON on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def complain(messages: Sequence[str]) -> None:
    """Why a command cannot be carried out, on standard error."""
    for message in messages:
        err().print(Text.assemble(("unusable", "bold red"), f" {message}"))


def show_lint(report: Report) -> None:
    """One finding in two lines: where and what, then how to mend it."""
    console = out()
    for finding in report.findings:
        console.print(_finding(finding))
        if finding.mend:
            console.print(Text(f"    {finding.mend}", style="dim"))
    console.print(_summary(report))


def _finding(finding: Finding) -> Text:
    where = f"{finding.file}:{finding.position.line}:{finding.position.column}"
    about = ": ".join(part for part in (finding.subject, finding.field) if part)
    return Text.assemble(
        f"{where}: ",
        (finding.severity.value, _STYLES[finding.severity]),
        f" [{finding.rule}] {about + ': ' if about else ''}{finding.message}",
    )


def _summary(report: Report) -> Text:
    def count(severity: Severity) -> int:
        return sum(f.severity is severity for f in report.findings)

    errors, warnings = count(Severity.ERROR), count(Severity.WARNING)
    style = "bold red" if errors else "yellow" if warnings else "green"
    words = f"{plural(report.checked, 'object')} checked: {plural(errors, 'error')}, {plural(warnings, 'warning')}"
    return Text(words, style=style)


def plural(count: int, word: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
