"""How the results of policy tests are told: as a diff for people, as JUnit XML for CI."""

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from rich.text import Text

from model_rollback.api.types import format_duration
from model_rollback.cli.console import out, plural
from model_rollback.cli.testing import Check, Played

_SHOWN_MOMENTS = 40


def show_tests(results: Sequence[Played], *, verbose: bool) -> None:
    """A line for each test; under one that fails, each failing expectation as a diff, and what happened."""
    console = out()
    for played in results:
        where = f"{played.script.document.file}:{played.script.document.position().line}"
        word, style = ("ok", "green") if played.passed else ("FAIL", "bold red")
        console.print(Text.assemble((f"{word:<5}", style), f"{where}: {played.name}"))
        for check in played.checks:
            if not check.passed:
                console.print(_diff(played, check))
        if verbose or not played.passed:
            console.print(Text("\n".join(_happened(played)), style="dim"))
    failed = sum(not p.passed for p in results)
    verdict = f"{plural(failed, 'test')} failed" if failed else "all hold"
    words = f"{plural(len(results), 'test')}, {plural(sum(len(p.checks) for p in results), 'expectation')}: {verdict}"
    console.print(Text(words, style="bold red" if failed else "green"))


def _diff(played: Played, check: Check) -> Text:
    text = Text(f"  line {check.line}: {check.title}\n")
    for line in check.wanted:
        text.append(*((f"      {line}\n", "") if line in check.got else (f"    - {line}\n", "red")))
    for line in check.got:
        if line not in check.wanted:
            text.append(f"    + {line}{_because(played, check, line)}\n", "green")
    text.rstrip()
    return text


def _because(played: Played, check: Check, line: str) -> str:
    """The operator's own words at that step, for the state that came instead."""
    expected = check.expectation
    if expected.at is None or not line.startswith(("state:", "blocked:")):
        return ""
    tick = played.ticks[int(expected.at // played.script.interval)]
    words = tick.triggers[expected.trigger].message if expected.trigger is not None else tick.why_blocked
    return f"  ({words})" if words else ""


def _happened(played: Played) -> Iterator[str]:
    yield "  what happened:"
    for moment in played.moments[:_SHOWN_MOMENTS]:
        yield f"    {format_duration(moment.at):>8}  {moment.what}"
    more = len(played.moments) - _SHOWN_MOMENTS
    if more > 0:
        yield f"    … {more} more changes"


def junit(results: Sequence[Played]) -> str:
    """A test suite for each test, a test case for each expectation."""
    root = ET.Element("testsuites", name="kubectl rollback test")
    for played in results:
        failed = sum(not c.passed for c in played.checks)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=played.name,
            tests=str(len(played.checks)),
            failures=str(failed),
            errors="0",
        )
        for check in played.checks:
            file = played.script.document.file
            case = ET.SubElement(
                suite, "testcase", classname=file, name=check.title, file=file, line=str(check.line)
            )
            if not check.passed:
                failure = ET.SubElement(case, "failure", message=f"got {', '.join(check.got)}")
                failure.text = "\n".join([str(_diff(played, check)), *_happened(played)])
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
