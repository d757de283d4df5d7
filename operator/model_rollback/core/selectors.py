"""The selectors of a query, and the query for the age of their samples."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import promql_parser

from model_rollback.core.promql import quote

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATORS: Final = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}


@lru_cache(maxsize=4096)
def selectors(query: str) -> tuple[str, ...]:
    """The distinct selectors of a query, in order, without ranges, offsets and `@`.

    Raises:
        ValueError: the query does not parse.
    """
    found: dict[str, None] = {}

    def collect(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found[_write(node)] = None

    promql_parser.walk(promql_parser.parse(query), collect)
    return tuple(found)


def age_query(selector: str, labels: Iterable[str]) -> str:
    """When the newest sample of a selector was taken, in seconds since the epoch, for each combination of `labels`."""
    names = ", ".join(sorted(labels))
    return f"max by ({names}) (timestamp({selector}))" if names else f"max(timestamp({selector}))"


def _write(node: promql_parser.VectorSelector) -> str:
    matchers = ",".join(
        f"{_label(m.name)}{_OPERATORS[str(m.op)]}{quote(m.value)}" for m in node.matchers.matchers
    )
    return f"{node.name or ''}{{{matchers}}}" if matchers else str(node.name)


def _label(name: str) -> str:
    """Names in UTF-8 are quoted."""
    return name if _LABEL.fullmatch(name) else quote(name)
