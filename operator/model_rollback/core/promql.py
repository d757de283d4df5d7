"""PromQL: whether a query can be asked and judged, where its fault is, and how values are put into one safely.

promql-parser says what is wrong, but not where. The place is found with its help: a type error is in the innermost
parentheses that do not parse by themselves, a syntax error at the first word after which nothing parses any more.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final

import promql_parser

_TOKEN: Final = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*|[0-9][A-Za-z0-9_.]*)
      | (?P<sign>[=!<>]=|=~|!~|\S)""",
    re.VERBOSE,
)
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_CONTINUED: Final = {
    "": ("", " x", " (x)", " (x) x", " (x) (x)"),
    ")": ("", " x", "(x)", " (x) (x)"),
    "]": ("", "5m"),
    "}": ("", '="x"', '"x"', 'x="x"'),
}
"""How an unfinished query may go on inside of each kind of bracket."""

_AFTER_LABELS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_BETWEEN: Final = frozenset({"and", "or", "unless", "bool", "atan2", "offset"})
_LABEL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METRIC_NAME: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_SYNTAX: Final = "invalid promql query"

MAX_TOKENS: Final = 1000
MAX_DEPTH: Final = 50
"""Of brackets and signs. The parser's time grows with the square of both: one policy must not stop all others."""

_MAX_LOCATED: Final = 200
"""Tokens. In a longer query the place of some faults is not looked for: it takes many parses."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a query, and where it begins, counted from 1; 0: the place is not known."""

    message: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.message} (line {self.line}, column {self.column})" if self.line else self.message


@lru_cache(maxsize=4096)
def find_fault(text: str) -> Fault | None:
    """Why `text` cannot be a trigger's query, or None.

    It does not parse, its types do not fit, it is too large, or it returns neither an instant vector nor a scalar.
    """
    tokens = _tokens(text)
    fault = _too_large(tokens, text)
    if fault is not None:
        return fault
    try:
        expression = promql_parser.parse(text)
    except ValueError as error:
        return _locate(str(error), tokens, text)
    while isinstance(expression, promql_parser.ParenExpr):
        expression = expression.expr
    returned = ""
    if isinstance(expression, promql_parser.MatrixSelector | promql_parser.SubqueryExpr):
        returned = "this is a range vector: put it into a function such as avg_over_time()"
    if isinstance(expression, promql_parser.StringLiteral):
        returned = "this is a string"
    if not returned:
        return None
    return _at(f"a query must return an instant vector or a scalar, {returned}", text, _first(tokens))


@lru_cache(maxsize=4096)
def longest_range(text: str) -> timedelta:
    """The longest `[window]` in a query; zero without one. Raises ValueError when it does not parse."""
    longest = timedelta(0)

    def widen(node: object) -> None:
        nonlocal longest
        longest = max(longest, getattr(node, "range", longest))

    promql_parser.walk(promql_parser.parse(text), widen)
    return longest


def quote(value: str) -> str:
    """`value` as a string literal of PromQL: whatever it holds, it stays one value."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def selector(metric: str, labels: Mapping[str, str]) -> str:
    """The vector selector of the series of `metric` with these labels, whatever their values hold.

    Raises:
        ValueError: `metric` or a label's name is none.
    """
    if not _METRIC_NAME.fullmatch(metric):
        raise ValueError(f"{metric!r} is not the name of a metric")
    for name in labels:
        if not _LABEL_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a label")
    matchers = ",".join(f"{name}={quote(value)}" for name, value in sorted(labels.items()))
    return f"{metric}{{{matchers}}}"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def _tokens(text: str) -> list[_Token]:
    return [_Token(m[0], m.start()) for m in _TOKEN.finditer(text) if m.lastgroup != "comment"]


def _short(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:299]}…"


def _at(message: str, text: str, place: int) -> Fault:
    before = text[:place]
    return Fault(_short(message), before.count("\n") + 1, place - (before.rfind("\n") + 1) + 1)


def _first(tokens: Sequence[_Token]) -> int:
    return tokens[0].start if tokens else 0


def _too_large(tokens: Sequence[_Token], text: str) -> Fault | None:
    if len(tokens) > MAX_TOKENS:
        return _at(
            f"the query has more than {MAX_TOKENS} words and signs: use a recording rule",
            text,
            tokens[MAX_TOKENS].start,
        )
    depth = signs = 0
    for token in tokens:
        depth += (token.text in _CLOSING) - (token.text in _CLOSING.values())
        signs = signs + 1 if token.text in ("+", "-") else 0
        if depth > MAX_DEPTH or signs > MAX_DEPTH:
            return _at(f"the query is nested more than {MAX_DEPTH} deep", text, token.start)
    return None


def _locate(message: str, tokens: Sequence[_Token], text: str) -> Fault:
    if message.startswith(("unclosed", "unexpected end of input inside")):
        return _at(message, text, _unclosed(tokens, text))
    if len(tokens) > _MAX_LOCATED:
        return Fault(_short(message))
    if message == _SYNTAX:
        found = _unexpected(tokens, text)
        if found is None:
            return _at("unexpected end of the query", text, len(text))
        return _at(f"unexpected {found.text!r}", text, found.start)
    if message.startswith(
        ("unexpected", "bad number", "illegal regex", "not a valid duration", "unterminated")
    ):
        return _at(message, text, _read_up_to(message, tokens, text))
    return _at(message, text, _innermost(tokens, text))


def _unclosed(tokens: Sequence[_Token], text: str) -> int:
    """The last bracket that nothing closes."""
    still: list[_Token] = []
    for token in tokens:
        if token.text in _CLOSING:
            still.append(token)
        elif still and token.text == _CLOSING[still[-1].text]:
            still.pop()
    return still[-1].start if still else len(text)


def _read_up_to(message: str, tokens: Sequence[_Token], text: str) -> int:
    """The word that the message quotes, at the end of what the parser had read when it said so."""
    index = bisect_left(tokens, True, key=lambda token: _complaint(text[: token.end]) == message)
    quoted = (
        t
        for t in reversed(tokens[: index + 1])
        if message.endswith(t.text.strip("\"'`")) or f"'{t.text}'" in message
    )
    stopped = tokens[index].start if index < len(tokens) else len(text)
    return next((token.start for token in quoted), stopped)


def _unexpected(tokens: Sequence[_Token], text: str) -> _Token | None:
    """The first word after which no continuation parses; None when the end is what is unexpected."""
    index = bisect_left(tokens, True, key=lambda token: not _can_go_on(text[: token.end]))
    return tokens[index] if index < len(tokens) else None


def _can_go_on(text: str) -> bool:
    still: list[str] = []
    for token in _tokens(text):
        if token.text in _CLOSING:
            still.append(_CLOSING[token.text])
        elif still and token.text == still[-1]:
            still.pop()
    closing = "".join(reversed(still))
    return any(
        _complaint(f"{text}{more}{closing}{end}") != _SYNTAX
        for more in _CONTINUED[still[-1] if still else ""]
        for end in ("", " (x)", " x")
    )


def _innermost(tokens: Sequence[_Token], text: str) -> int:
    """The start of the smallest call or parenthesis that does not parse by itself."""
    smallest = (len(text) + 1, _first(tokens))
    for start, end in _groups(tokens):
        if end - start < smallest[0] and _complaint(text[start:end]):
            smallest = (end - start, start)
    return smallest[1]


def _groups(tokens: Sequence[_Token]) -> Iterator[tuple[int, int]]:
    """Each `word(…)` and `(…)`, from the word to the closing parenthesis; lists of labels are none."""
    opened: list[int | None] = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.text == "(":
            word = before.text if before is not None else ""
            is_call = _METRIC_NAME.fullmatch(word) and word not in _BETWEEN
            start = before.start if before is not None and is_call else token.start
            opened.append(None if word in _AFTER_LABELS else start)
        elif token.text == ")" and opened and (begun := opened.pop()) is not None:
            yield begun, token.end


def _complaint(text: str) -> str:
    try:
        promql_parser.parse(text)
    except ValueError as error:
        return str(error)
    return ""
