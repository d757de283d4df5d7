"""The bench's verdict: medians over floors, and which of them became worse."""

import pytest
from bench import results

RUN = {"armed": 1, "trials": [0.1, 0.3, 0.2], "query": [0.004], "patch": [0.016], "load": 0.5}
STORM = {
    "policies": 1000,
    "rate": 50.0,
    "raw_rate": 1000.0,
    "recorded_rate": 100.0,
    "writes": 8,
    "half_patched": 9.0,
    "all_patched": 20.0,
    "requests": 14.0,
    "load": 2.0,
}
MEASURED = {"latency": {"1 armed": RUN}, "storm": {"1000 policies": STORM}}


def test_ratios_are_medians_over_the_floors_of_the_same_run():
    assert results.ratios(MEASURED) == pytest.approx({"latency 1 armed": 10.0, "storm 1000 policies": 2.0})


@pytest.mark.parametrize(
    ("expected", "slow"), [(10.0, []), (8.4, []), (8.2, ["latency 1 armed"]), (None, [])]
)
def test_a_median_may_get_20_percent_worse_and_no_more(tmp_path, expected, slow):
    spec = tmp_path / "rangespec.yaml"
    spec.write_text("ratios: {}" if expected is None else f"ratios: {{latency 1 armed: {expected}}}")

    assert [said.split(":")[0] for said in results.too_slow(MEASURED, spec)] == slow


def test_what_is_accepted_is_held_from_then_on(tmp_path):
    spec = tmp_path / "rangespec.yaml"
    results.accept(MEASURED, spec)
    worse = {**MEASURED, "storm": {"1000 policies": {**STORM, "rate": 40.0}}}

    assert spec.read_text().startswith("# Medians as multiples")
    assert results.too_slow(MEASURED, spec) == []
    assert results.too_slow(worse, spec) == ["storm 1000 policies: 2.5 times its floor, 2.0 expected"]


@pytest.mark.parametrize(("q", "value"), [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_quantile_is_a_value_that_was_measured(q, value):
    assert results.quantile(range(100, 0, -1), q) == value


def test_the_table_shows_floors_beside_what_was_measured():
    text = results.render(MEASURED)

    assert "| 1 armed: sample visible → patched | 3 | 200 | 300 | 300 | 300 | 0.5 |" in text
    assert "| 1 armed: floor, one JSON Patch | 1 | 16 | 16 | 16 | 16 | 0.5 |" in text
    assert "| 1000 | 50 | 1000 | 5 % | 8 | 100 | 50 % | 9 | 20 | 14 | 2 |" in text
