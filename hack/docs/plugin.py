"""The pages about the plugin: its commands as typer knows them, lint's rules, and the file format of policy tests."""

from collections.abc import Iterator
from typing import Any, Final

import typer
from pydantic import BaseModel

from model_rollback.cli.app import app
from model_rollback.cli.notation import FAILURES
from model_rollback.cli.policytest import Answer, Expectation, PolicyTest, Started, Versions
from model_rollback.cli.rules import RULES, name_of

PARTS: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("A test", PolicyTest),
    ("`versions`", Versions),
    ("An entry of `answers`", Answer),
    ("An entry of `expect`", Expectation),
    ("`expect[].rollback`", Started),
)


def commands(table: Any) -> str:
    """All commands, with their options, exit codes and, for `lint`, the rules."""
    group = typer.main.get_command(app)
    sections = "\n".join(_command(name, command, table) for name, command in group.commands.items())  # type: ignore[attr-defined]
    rules = [("rule", "what it finds")] + [(f"`{name_of(rule)}`", rule.__doc__ or "") for rule in RULES]
    return f"""# kubectl rollback

The plugin comes with the Python package and with the operator's image: an executable `kubectl-rollback` on PATH makes
`kubectl rollback …` work. None of these commands needs a cluster. How to use them:
[test a policy](../how-to/test-a-policy.md).

{sections}
## What `lint` finds

Besides what breaks the schema (`schema`), a query that is not PromQL (`promql`), a preset that is used wrongly
(`preset`), and an object that stands twice in the files (`given-twice`):

{table(*rules)}
Findings are errors or warnings; what is no object of this API is passed over with a note (`ignored`).
"""


def _command(name: str, command: Any, table: Any) -> str:
    about, _, rest = command.help.partition("\n\n")
    arguments = " ".join(
        p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument"
    )
    usage = " ".join(part for part in (f"kubectl rollback {name}", "[OPTIONS]", arguments) if part)
    rows = [("", "meaning", "default")] + [_row(p) for p in command.params]
    return f"## {name}\n\n    {usage}\n\n{about}\n\n{table(*rows)}\n{rest}\n"


def _row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`", parameter.help or "", "required"
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    variable = f" Environment: `{parameter.envvar}`." if parameter.envvar else ""
    default = (
        "required"
        if parameter.required
        else ""
        if parameter.default in (None, "", False)
        else f"`{parameter.default}`"
    )
    return names, f"{parameter.help}{variable}", default


def policy_tests(table: Any) -> str:
    """The file format, from the models that read it."""
    parts = "\n".join(f"## {title}\n\n{table(*_fields(model))}" for title, model in PARTS)
    failures = table(("word", "meaning"), *((f"`{word}`", meaning) for word, meaning in FAILURES.items()))
    return f"""# Policy tests

What `kubectl rollback test` reads: a policy, what Prometheus would have answered at each step, and what must follow. A
file holds one test, or several that are separated by `---`. How to write one:
[test a policy](../how-to/test-a-policy.md).

{parts}
## How steps are written

`0.95x7 _ 0.81x12` is seven steps with 0.95, one without a sample, and twelve with 0.81: words are separated by blanks,
`WORDxN` or `WORD xN` is N steps. In `values`, `traffic` and `baseline` a word is a decimal, `NaN`, `Inf`, `-Inf`, `_`
(no sample) or, in `values`, `old` (a sample older than the trigger's `maxSampleAge`). After the last word a series has
no more samples. In `failures` it is one of these, and after the last one it is `ok`:

{failures}
## What is played, and what is assumed

The steps go through the operator's own core: the same code measures, runs the clocks, asks the gates and chooses the
target. The targets are there and ready. A Rollback that starts reverts at once and succeeds after `settle` and
`duration`; then its cooldown, its quarantine and a new episode hold, while the answers stay what the file says they
are. In mode Observe a rollback that would have started counts as one. A test ends with its longest series, or with its
last expectation. Exit codes: 0 when all holds, 1 when not, 2 for a file that cannot be used.
"""


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    yield ("field", "meaning")
    for name, field in model.model_fields.items():
        required = " Required." if field.is_required() else ""
        yield f"`{field.alias or name}`", f"{field.description}{required}"
