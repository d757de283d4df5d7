"""PromQL: which queries are refused, with which words, and where their fault is; values that stay values."""

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.core.promql import MAX_DEPTH, MAX_TOKENS, find_fault, longest_range, quote, selector
from tests.unit.core.builders import seconds

GOOD = (
    "up",
    "1",
    "scalar(up)",
    "(up)",
    'avg by (model) (model_quality{metric="accuracy"})',
    "histogram_quantile(0.95, sum by (le) (rate(latency_bucket[5m])))",
    "sum(rate(a[5m])) / sum(rate(b[5m])) # of all",
    "a * on (x) group_left (y) b",
    'a{b="c",} or vector(0)',
    "a @ end() offset 5m",
    "max_over_time(rate(x[5m])[30m:1m])",
    '{"a name of Prometheus 3", b=~"x|y"}',
)


@pytest.mark.parametrize("text", GOOD)
def test_a_query_that_can_be_judged(text):
    assert find_fault(text) is None


AFTER_ALL = "a query must return an instant vector or a scalar, "
FAULTS = {
    # text: (line, column, words)
    "sum(": (1, 4, "unclosed left parenthesis"),
    "max(abs(up)": (1, 4, "unclosed left parenthesis"),
    "sum by (x (up)": (1, 8, "unclosed left parenthesis"),
    "histogram_quantile(0.95, sum by (le) (rate(x[5m])": (1, 38, "unclosed left parenthesis"),
    "sum(up))": (1, 8, "unexpected right parenthesis ')'"),
    "up{": (1, 3, "unexpected end of input inside braces"),
    "up[5m": (1, 3, "unexpected end of input inside brackets"),
    "up{a=b}": (1, 6, "unexpected identifier 'b'"),
    'up{a="b"}}': (1, 10, "unexpected right brace '}'"),
    'a{b="c" d="e"}': (1, 9, "unexpected 'd'"),
    'a{b="c}': (1, 5, "unterminated quoted string"),
    'up{a=~"["}': (1, 7, "illegal regex for ["),
    "foo bar": (1, 5, "unexpected 'bar'"),
    "up\n  or\nfoo bar baz": (3, 5, "unexpected 'bar'"),
    "a / / b": (1, 5, "unexpected '/'"),
    "a=b": (1, 2, "unexpected '='"),
    "a =~ b": (1, 3, "unexpected character after '=': '~'"),
    "up;": (1, 3, "unexpected character: ';'"),
    "sum by (le) (rate(x[5m])) foo": (1, 27, "unexpected 'foo'"),
    "sum(a) by (b) c": (1, 15, "unexpected 'c'"),
    "1 +": (1, 4, "unexpected end of the query"),
    "up offset": (1, 4, "unexpected end of input in offset"),
    "rate(up[5x])": (1, 9, "bad number or duration syntax: 5x"),
    "": (1, 1, "no expression found"),
    "# only words": (1, 1, "no expression found"),
    "{}": (1, 1, "at least one non-empty matcher"),
    "up + nosuch(up)": (1, 6, "unknown function with name 'nosuch'"),
    "rate(up)": (1, 1, "expected type matrix in call to function 'rate', got vector"),
    "foo\n  + rate(bar)\n": (2, 5, "expected type matrix in call to function 'rate'"),
    "sum(rate(a[5m])) / sum(rate(b))": (1, 24, "expected type matrix"),
    "sum by (le) (rate(x))": (1, 14, "expected type matrix"),
    "1 + sum(up[5m])": (1, 5, "expected type vector in aggregation expression, got matrix"),
    "up and 1": (1, 1, "set operator 'and' not allowed"),
    "up[5m]": (1, 1, AFTER_ALL + "this is a range vector"),
    " (up[5m])": (1, 2, AFTER_ALL + "this is a range vector"),
    "up[5m:1m]": (1, 1, AFTER_ALL + "this is a range vector"),
    "\n'up'": (2, 1, AFTER_ALL + "this is a string"),
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_told_with_its_place(text):
    line, column, words = FAULTS[text]

    fault = find_fault(text)

    assert fault is not None
    assert (fault.line, fault.column) == (line, column), fault
    assert words in fault.message
    assert str(fault).endswith(f"(line {line}, column {column})")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(" * (MAX_DEPTH + 1) + "up" + ")" * (MAX_DEPTH + 1), "nested more than 50 deep"),
        ("-" * (MAX_DEPTH + 1) + "up", "nested more than 50 deep"),
        ("up" + "+up" * (MAX_TOKENS // 2), "more than 1000 words and signs"),
    ],
    ids=["brackets", "signs", "words"],
)
def test_a_query_that_would_take_the_parser_long_is_refused(text, words):
    fault = find_fault(text)

    assert fault is not None
    assert words in fault.message


def test_as_deep_and_as_long_as_it_may_be():
    assert find_fault("(" * MAX_DEPTH + "up" + ")" * MAX_DEPTH) is None
    assert find_fault("up" + "+up" * (MAX_TOKENS // 2 - 1)) is None


def test_the_place_in_a_long_query_is_told_where_it_costs_nothing():
    long = "up" + " + up" * 200

    fault = find_fault(f"{long} foo")
    unclosed = find_fault(f"{long} + (")

    assert (str(fault), unclosed and unclosed.line) == ("invalid promql query", 1)


@given(st.text(max_size=60))
def test_any_text_is_judged_without_an_error_and_a_fault_lies_in_it(text):
    fault = find_fault(text)

    if fault is not None:
        lines = text.split("\n")
        assert 1 <= fault.line <= len(lines)
        assert 1 <= fault.column <= len(lines[fault.line - 1]) + 1


INJECTIONS = (
    'a"}[5m])) > 1 or vector(1) #',
    'a"} or vector(1) or up{x="',
    'x\\"} or vector(1) #',
    'a\n"} or vector(1) #',
    "'} or vector(1) #",
    "`} or vector(1) #",
    "$1 {{window}} %s",
    "\\",
    '"',
    "ünï\u2028cødé",
    "",
)


@pytest.mark.parametrize("value", INJECTIONS)
def test_a_label_value_stays_a_value_whatever_it_holds(value):
    """Without the escaping the first one parses to a query that always fires."""
    parsed = promql_parser.parse(f"sum(rate({selector('requests_total', {'model': value})}[5m]))")

    matchers = parsed.expr.args[0].vector_selector.matchers.matchers
    assert [(m.name, str(m.op), m.value) for m in matchers] == [("model", "MatchOp.Equal", value)]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_survives_quoting(value):
    assert promql_parser.parse(quote(value)).val == value


@pytest.mark.parametrize(
    ("metric", "label"), [("a b", "x"), ('a{x="y"} or b', "x"), ("a", 'x="y",z'), ("a", "")]
)
def test_what_is_no_name_is_put_into_no_query(metric, label):
    with pytest.raises(ValueError, match="is not the name of a"):
        selector(metric, {label: "v"})


RANGES = {
    "model_quality": 0,
    "rate(errors_total[5m])": 300,
    "sum(rate(a[2m])) / sum(rate(b[10m]))": 600,
    "max_over_time(rate(x[5m])[30m:1m])": 1800,
    "rate(x[1h] @ end())": 3600,
    "rate(x[5m] offset 1d)": 300,
    "histogram_quantile(0.95, sum by (le) (rate(latency_bucket[90s])))": 90,
    'avg by (model) (model_quality{metric="accuracy"}) and on () vector(1)': 0,
}


@pytest.mark.parametrize("query", RANGES)
def test_the_longest_window_that_a_query_looks_back_over(query):
    assert longest_range(query) == seconds(RANGES[query])


def test_what_is_no_promql_is_refused():
    with pytest.raises(ValueError, match="unexpected end of input"):
        longest_range("rate(errors_total[5m")
