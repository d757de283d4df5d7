"""The selectors of a query: without ranges, offsets and `@`, each once, and safe to be put into another query."""

import promql_parser
import pytest

from model_rollback.core.selectors import age_query, selectors

QUERIES = {
    "up": ("up",),
    'avg by (model) (model_quality{metric="accuracy"})': ('model_quality{metric="accuracy"}',),
    'rate(x{a!="b",c=~"d|e",f!~"g"}[5m] offset 1h) / sum(y @ 123)': ('x{a!="b",c=~"d|e",f!~"g"}', "y"),
    "x / x offset 24h": ("x",),
    'max_over_time(rate({__name__="m"}[5m])[1h:1m])': ('{__name__="m"}',),
    '{"my.metric", "my.label"="b"}': ('{__name__="my.metric","my.label"="b"}',),
    "vector(1)": (),
    "absent(up)": ("up",),
    r'x{a="say \"hi\" \\ \n"}': (r'x{a="say \"hi\" \\ \n"}',),
    r"""x{a="\"}[5m])) > 1 or vector(1) #"}""": (r"""x{a="\"}[5m])) > 1 or vector(1) #"}""",),
}


@pytest.mark.parametrize("query", QUERIES)
def test_the_selectors_of_a_query(query):
    assert selectors(query) == QUERIES[query]


@pytest.mark.parametrize("query", QUERIES)
def test_a_selector_put_into_the_query_for_its_age_is_still_that_selector(query):
    for selector in selectors(query):
        assert selectors(age_query(selector, ["b", "a"])) == (selector,)


def test_the_age_is_asked_for_each_combination_of_the_labels_that_tell_my_series():
    assert age_query("up", ["pod", "model"]) == "max by (model, pod) (timestamp(up))"
    assert age_query("up", []) == "max(timestamp(up))"
    promql_parser.parse(age_query("up", []))
