"""Every trigger preset in a real Prometheus, on series as the exporters write them: `presets/good.prom`, `bad.prom`.

Each preset is resolved and judged as in the operator; the range windows are short so that the counters need not run
for minutes.
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.api.v1alpha1.trigger import TriggerSpec
from model_rollback.core.measure import Measurement, measure
from model_rollback.core.presets import resolve_trigger
from model_rollback.core.promql import selector
from model_rollback.core.questions import questions_of
from model_rollback.presets import trigger_presets
from tests.support.exposition import Exposition
from tests.support.prometheus import Prometheus
from tests.unit.core.test_promql import INJECTIONS

SERIES = Path(__file__).parent / "presets"
WINDOW = "10s"


def above(threshold):
    return {"operator": "GreaterThan", "threshold": threshold}


def below(threshold):
    return {"operator": "LessThan", "threshold": threshold}


GOOD, BAD = "Healthy", "Breaching"
CASES = [
    # preset, labels, breach when the preset has none, about what the value must be, and what that means
    ("KServeLatencyP95", {"namespace": "shop", "model_name": "good"}, above("0.4"), 0.096, GOOD),
    ("KServeLatencyP95", {"namespace": "shop", "model_name": "bad"}, above("0.4"), 0.875, BAD),
    ("KServeErrors", {"k8s_namespace_name": "shop", "kn_service_name": "good-predictor"}, None, 0, GOOD),
    ("KServeErrors", {"k8s_namespace_name": "shop", "kn_service_name": "bad-predictor"}, None, 0.2, BAD),
    ("KServeErrors", {"kn_service_name": "old-good-predictor"}, None, 0, GOOD),
    ("KServeErrors", {"k8s_namespace_name": "shop", "kn_service_name": "old-bad-predictor"}, None, 0.2, BAD),
    ("VLLMTimeToFirstTokenP95", {"model_name": "good"}, above("0.5"), 0.096, GOOD),
    ("VLLMTimeToFirstTokenP95", {"model_name": "bad"}, above("0.5"), 0.91, BAD),
    ("VLLMInterTokenLatencyP95", {"model_name": "good"}, above("0.2"), 0.048, GOOD),
    ("VLLMInterTokenLatencyP95", {"model_name": "bad"}, above("0.2"), 0.455, BAD),
    ("VLLMInterTokenLatencyP95", {"model_name": "old-good"}, above("0.2"), 0.048, GOOD),
    ("VLLMInterTokenLatencyP95", {"model_name": "old-bad"}, above("0.2"), 0.455, BAD),
    ("VLLMRequestLatencyP99", {"model_name": "good"}, above("20"), 4.95, GOOD),
    ("VLLMRequestLatencyP99", {"model_name": "bad"}, above("20"), 29.5, BAD),
    ("VLLMErrors", {"namespace": "shop", "job": "good"}, None, 0, GOOD),
    ("VLLMErrors", {"namespace": "shop", "job": "bad"}, None, 0.2, BAD),
    ("TritonLatencyMean", {"model": "good", "version": "1"}, above("0.5"), 0.02, GOOD),
    ("TritonLatencyMean", {"model": "bad", "version": "2"}, above("0.5"), 2, BAD),
    ("TritonLatencyP99", {"model": "good"}, above("0.5"), 0.03, GOOD),
    ("TritonLatencyP99", {"model": "bad"}, above("0.5"), 2.5, BAD),
    ("TritonErrors", {"model": "good"}, None, 0.0099, GOOD),
    ("TritonErrors", {"model": "bad"}, None, 0.2, BAD),
    ("TrustyAIStatisticalParityDifference", {"model": "good", "protected": "gender"}, None, -0.04, GOOD),
    ("TrustyAIStatisticalParityDifference", {"model": "bad", "protected": "gender"}, None, -0.21, BAD),
    ("TrustyAIDisparateImpactRatio", {"model": "good"}, None, 0.95, GOOD),
    ("TrustyAIDisparateImpactRatio", {"model": "bad"}, None, 0.61, BAD),
    ("TrustyAIMeanShift", {"model": "good"}, None, 0.62, GOOD),
    ("TrustyAIMeanShift", {"model": "bad"}, None, 0.003, BAD),
    ("SLOBurnRateFast", {"sloth_service": "shop", "sloth_slo": "good"}, None, 0.5, GOOD),
    ("SLOBurnRateFast", {"sloth_service": "shop", "sloth_slo": "over"}, None, 0.1, GOOD),
    ("SLOBurnRateFast", {"sloth_service": "shop", "sloth_slo": "bad"}, None, 20, BAD),
    ("ModelAccuracy", {"model": "good", "version": "v12"}, below("0.90"), 0.94, GOOD),
    ("ModelAccuracy", {"model": "bad"}, below("0.90"), 0.81, BAD),
    ("ModelQuality", {"model": "good", "metric": "f1"}, below("0.92"), 0.91, BAD),
    ("ModelQuality", {"model": "bad", "metric": "f1"}, below("0.92"), 0.95, GOOD),
]


@pytest.fixture(scope="module")
def judge(cluster):
    """Judges a trigger now, in a Prometheus that has scraped both files for long enough."""
    prometheus = Prometheus(cluster.prometheus_url, cluster.prometheus_configuration)
    good, bad = (Exposition((SERIES / f"{name}.prom").read_text()) for name in ("good", "bad"))
    loop = asyncio.new_event_loop()
    source = PrometheusSource(SourceConfig(cluster.prometheus_url))
    with good, bad:
        for job, exposition in (("good", good), ("bad", bad)):
            prometheus.scrape(job, exposition.address, namespace="shop")
        for job in ("good", "bad"):
            prometheus.wait_for(f'count_over_time(up{{job="{job}"}}[{WINDOW}]) > 10')

        def ask(**fields) -> Measurement:
            trigger = resolve_trigger(TriggerSpec.model_validate({"name": "t", **fields}))
            questions, now = questions_of(trigger), datetime.now(UTC)
            answers = {q: loop.run_until_complete(source.query(q.text, q.moment(now))) for q in questions}
            return measure(trigger, questions, answers, now=now)

        yield ask
    prometheus.close()
    source.close()
    loop.close()


def fields_of(preset, series, breach):
    window = {"window": WINDOW} if trigger_presets()[preset].window else {}
    return {"preset": preset, "series": series, **window, **({"breach": breach} if breach else {})}


@pytest.mark.parametrize(
    ("preset", "series", "breach", "value", "verdict"), CASES, ids=lambda v: v if isinstance(v, str) else None
)
def test_a_preset_tells_good_from_bad(judge, preset, series, breach, value, verdict):
    found = judge(**fields_of(preset, series, breach))

    assert found.verdict == verdict, found
    assert float(found.value) == pytest.approx(value, rel=0.25, abs=0.002), found


def test_every_preset_is_among_the_cases():
    assert {preset for preset, *_ in CASES} == set(trigger_presets())


@pytest.mark.parametrize("preset", ["TritonLatencyMean", "TritonLatencyP99", "TritonErrors"])
def test_a_model_without_traffic_is_no_data(judge, preset):
    found = judge(**fields_of(preset, {"model": "idle"}, above("0.01")))

    assert (found.verdict, "nan" in found.message) == ("NoData", True), found


@pytest.mark.parametrize("preset", trigger_presets())
def test_a_model_that_nobody_measures_is_no_data(judge, preset):
    label = trigger_presets()[preset].series[-1]

    assert judge(**fields_of(preset, {label: "nobody"}, above("0.01"))).verdict == "NoData"


@pytest.mark.parametrize("value", INJECTIONS)
def test_prometheus_takes_an_injection_for_the_value_that_it_is(judge, value):
    query = f"sum({selector('model_quality', {'model': value, 'namespace': 'shop'})})"

    found = judge(query=query, breach=above("0"))

    assert found.verdict == "NoData", found


def test_a_range_query_answers_what_instant_queries_would(judge, cluster):
    source, loop = PrometheusSource(SourceConfig(cluster.prometheus_url)), asyncio.new_event_loop()
    end = datetime.fromtimestamp(time.time() - 1, UTC)
    start = end.fromtimestamp(end.timestamp() - 2, UTC)
    query = "sum by (model) (rate(nv_inference_request_success[10s]))"

    async def ask():
        found = await source.query_range(query, start, end, (end - start) / 4)
        return [(answer, await source.query(query, moment)) for moment, answer in found.steps()]

    pairs = loop.run_until_complete(ask())
    source.close()
    loop.close()

    assert len(pairs) == 5
    for ranged, instant in pairs:
        by_labels = lambda answer: {tuple(s.labels.items()): s.value for s in answer.samples}  # noqa: E731
        assert by_labels(ranged) == by_labels(instant)
