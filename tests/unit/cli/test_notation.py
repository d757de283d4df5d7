"""How policy tests write series and failures."""

import math

import pytest

from model_rollback.cli.notation import FAILURES, Mark, failures, points

NO, OLD = Mark.NO_SAMPLE, Mark.OLD


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("0.95x3 0.81", (0.95, 0.95, 0.95, 0.81)),
        ("0.95 x3", (0.95, 0.95, 0.95)),
        ("_x2 old 1", (NO, NO, OLD, 1.0)),
        ("_ x2 old x2", (NO, NO, OLD, OLD)),
        ("Inf +Inf -Infx2", (math.inf, math.inf, -math.inf, -math.inf)),
        ("-1.5e-3x2 .5 5.", (-0.0015, -0.0015, 0.5, 5.0)),
        ("0x8", (0.0,) * 8),
        ("  1   2\n3\t4 ", (1.0, 2.0, 3.0, 4.0)),
    ],
)
def test_values(text, steps):
    assert points(text) == steps


def test_nan_is_a_value():
    first, second = points("NaNx2")
    assert isinstance(first, float)
    assert isinstance(second, float)
    assert math.isnan(first)
    assert math.isnan(second)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a single step"),
        ("0.9x0", "count from 1"),
        ("x3", "counts nothing"),
        ("1x2 x3", "counts nothing"),
        ("0,95", "'0,95' is no value"),
        ("nan", "'nan' is no value"),
        ("0x1A", "is no value"),
        ("1_000", "is no value"),
        ("1x3x4", "is no value"),
        ("1x999999", "more than"),
    ],
)
def test_values_that_are_none(text, says):
    with pytest.raises(ValueError, match=says):
        points(text)


def test_failures_of_the_contract():
    words = failures("ok x4 timeout x2 503 x1 partial x1 badquery x1 ok x20")

    assert words == (*["ok"] * 4, "timeout", "timeout", "503", "partial", "badquery", *["ok"] * 20)
    assert failures("429 500x2") == ("429", "500", "500")
    assert set(failures(" ".join(FAILURES))) == set(FAILURES)


@pytest.mark.parametrize("text", ["200", "okx", "refused", "5030"])
def test_failures_that_are_none(text):
    with pytest.raises(ValueError, match="is no failure"):
        failures(text)
