"""Documents in strings: one value is replaced, everything else keeps its meaning, and mostly its very letters."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.core import documents
from model_rollback.core.documents import MISSING, PathError, Selector, load, replace, same

SERVE = """\
# Who may change this: ml-platform
proxy_location: EveryNode
http_options:
  port: 8000        # the Service's
applications:
  - name: recommender
    import_path: serve:app
    runtime_env: {working_dir: "https://models.example/recommender-v13.zip"}
    deployments:
      - name: Model
        num_replicas: 2
  - name: 'ranker'
    since: 2026-01-05
    on_call: yes
    notes: |
      keep this
      as it is
"""
WORKING_DIR = ("applications", Selector("name", "recommender"), "runtime_env", "working_dir")


def test_only_the_value_changes_and_every_other_letter_stays():
    new = "https://models.example/recommender-v12.zip"

    after = replace(SERVE, "yaml", WORKING_DIR, new)

    assert after == SERVE.replace("recommender-v13.zip", "recommender-v12.zip")


SPLICED = {
    "a plain text": (("proxy_location",), "HeadOnly", "proxy_location: HeadOnly\n"),
    "a number before a comment": (("http_options", "port"), 9000, "port: 9000        # the Service's\n"),
    "a text that would be read as a number": (("proxy_location",), "8000", 'proxy_location: "8000"\n'),
    "a text that would be read as true": (("proxy_location",), "yes", 'proxy_location: "yes"\n'),
    "a text with a colon": (("proxy_location",), "a: b", 'proxy_location: "a: b"\n'),
    "a text with a comment sign": (("proxy_location",), "a #b", 'proxy_location: "a #b"\n'),
    "a text of two lines": (("proxy_location",), "a\nb", r'proxy_location: "a\nb"' + "\n"),
    "an empty text": (("proxy_location",), "", 'proxy_location: ""\n'),
    "null": (("proxy_location",), None, "proxy_location: null\n"),
    "by index": (("applications", 1, "on_call"), False, "    on_call: false\n"),
    "a block of text": (("applications", 1, "notes"), "one line", '    notes: "one line"\n'),
}


@pytest.mark.parametrize("case", SPLICED)
def test_a_scalar_is_replaced_where_it_stands(case):
    parts, value, line = SPLICED[case]

    after = replace(SERVE, "yaml", parts, value)

    assert line in after
    assert "# Who may change this: ml-platform\n" in after
    assert "since: 2026-01-05\n" in after


def test_a_list_is_replaced_at_the_cost_of_comments_and_the_rest_keeps_its_meaning():
    after = replace(SERVE, "yaml", ("applications", 0, "deployments"), [])

    expected = yaml.safe_load(SERVE)
    expected["applications"][0]["deployments"] = []
    assert same(yaml.safe_load(after), expected)
    assert "#" not in after


def test_an_empty_value_is_filled():
    assert replace("a:\nb: 1\n", "yaml", ("a",), "x") == 'a: "x"\nb: 1\n'


def test_a_value_shared_by_an_anchor_changes_in_one_place_only():
    shared = "base: &v v13\none: *v\ntwo: *v\n"

    after = yaml.safe_load(replace(shared, "yaml", ("one",), "v12"))

    assert after == {"base": "v13", "one": "v12", "two": "v13"}
    assert yaml.safe_load(replace(shared, "yaml", ("base",), "v12")) == {**after, "base": "v12", "one": "v13"}


def test_a_key_is_added_and_taken_away():
    added = replace('{"a": 1}', "json", ("b",), "x")

    assert json.loads(added) == {"a": 1, "b": "x"}
    assert replace(added, "json", ("b",), MISSING) == '{"a": 1}'


def test_json_keeps_its_layout():
    text = '{\n    "model": "v13",\n\t"limit": 1.50, "ids": [12345678901234567890]\n}\n'

    assert (
        replace('{ "model":"v13", "n": 1.50 }', "json", ("model",), "v12") == '{ "model":"v12", "n": 1.50 }'
    )
    assert same(json.loads(replace(text, "json", ("model",), "v12")), {**json.loads(text), "model": "v12"})


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)
UNREADABLE = {
    "not YAML": ("a: [", "yaml", "not one YAML document"),
    "several documents": ("a: 1\n---\nb: 2\n", "yaml", "not one YAML document"),
    "an object of Python": ("!!python/object:os.system {}", "yaml", "not one YAML document"),
    "a list as a key": ("? [a]\n: 1", "yaml", "not one YAML document"),
    "a day that does not exist": ("a: 2026-02-31", "yaml", "not one yaml document"),
    "a bomb": (BOMB, "yaml", "more than 100000 values"),
    "a document in itself": ("&a [*a]", "yaml", "contains itself"),
    "too large": ("#" * 300_000, "yaml", "too large"),
    "deep for some parsers": ("[" * 20_000 + "]" * 20_000, "json", "nested deeper than 100 levels"),
    "too deep, JSON": ('{"a":' * 101 + "[]" + "}" * 101, "json", "nested deeper than 100 levels"),
    "too deep, YAML": ("[" * 102 + "]" * 102, "yaml", "nested deeper than 100 levels"),
    "not JSON": ('{"password": "s3cret",}', "json", "line 1 column"),
    "no text": (7, "yaml", "no text"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_said_without_its_content(case):
    text, form, says = UNREADABLE[case]

    with pytest.raises(PathError, match=re.escape(says)) as refused:
        load(text, form)

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("value", ["2026-01-05", "!!set {a}", "!!binary aGk=", ".nan", "{1: a}"])
def test_what_json_cannot_say_cannot_be_pinned(value):
    with pytest.raises(PathError, match="cannot be pinned"):
        documents.as_json(yaml.safe_load(value))


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
keys = st.text("abcXYZ09_-/. é#:'\"", min_size=1, max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@st.composite
def places(draw):
    """A document, a way to something in it, and its text in one of several layouts."""
    document = draw(st.dictionaries(keys, values, min_size=1, max_size=4))
    parts, here = [], document
    while isinstance(here, dict | list) and here and (not parts or draw(st.booleans())):
        part = (
            draw(st.sampled_from(sorted(here)))
            if isinstance(here, dict)
            else draw(st.integers(0, len(here) - 1))
        )
        parts.append(part)
        here = here[part]
    form = draw(st.sampled_from(["yaml", "json"]))
    if form == "json":
        text = json.dumps(
            document, indent=draw(st.sampled_from([None, 2, "\t"])), ensure_ascii=draw(st.booleans())
        )
    else:
        text = yaml.safe_dump(
            document,
            default_flow_style=draw(st.sampled_from([True, False, None])),
            allow_unicode=draw(st.booleans()),
            width=draw(st.sampled_from([20, 1000])),
        )
    return document, parts, form, text


def value_at(document, parts):
    for part in parts:
        document = document[part]
    return document


@given(places(), values)
def test_replacing_changes_the_value_and_nothing_else(place, new):
    _, parts, form, text = place
    before = load(text, form)

    after = load(replace(text, form, parts, new), form)

    assert same(value_at(after, parts), new)
    back = load(replace(replace(text, form, parts, new), form, parts, value_at(before, parts)), form)
    assert same(back, before)


@given(places())
def test_what_is_read_is_what_was_written(place):
    document, parts, form, text = place

    assert same(documents.as_json(value_at(load(text, form), parts)), value_at(document, parts))


@given(st.text(max_size=200), st.sampled_from(["yaml", "json"]), st.lists(keys, max_size=2), values)
def test_no_text_breaks_anything(text, form, parts, new):
    try:
        before = load(text, form)
        after = replace(text, form, parts, new)
    except PathError:
        return
    if not parts:
        assert same(load(after, form), new)
    else:
        assert load(after, form).keys() >= before.keys()
