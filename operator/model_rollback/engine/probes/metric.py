"""Metric: a query that no trigger asks, for what only people would notice: engagement, conversions, complaints."""

from typing import ClassVar

from model_rollback.api.v1alpha1.probe import Probe
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.core.measure import Verdict, measure
from model_rollback.core.questions import questions_of
from model_rollback.engine.probes.asker import Round, Surroundings
from model_rollback.engine.scheduler import ask_all
from model_rollback.ports import ProbeAnswer


class Metric:
    """One measurement a round, judged as a trigger without `for` would be."""

    final: ClassVar = False

    def __init__(self, probe: Probe, around: Surroundings) -> None:
        if probe.metric is None:
            raise TypeError(f"probe {probe.name} is no metric probe")
        metric = probe.metric
        self._trigger = Trigger(
            name=probe.name, query=metric.query, series=metric.series, breach=metric.breach
        )
        self._around = around

    async def ask(self, round_: Round) -> ProbeAnswer:
        """See `Asker`. What cannot be measured has not passed, and has not failed either."""
        source = self._around.procedure.metrics_source
        questions = questions_of(self._trigger, target_seen=self._around.target_seen)
        answers = await ask_all(self._around.sources, source, questions, round_.now)
        measurement = measure(self._trigger, questions, answers, now=round_.now)
        if measurement.verdict is Verdict.HEALTHY:
            return ProbeAnswer("Passed", "Healthy", measurement.message)
        if measurement.verdict is Verdict.BREACHING:
            return ProbeAnswer("Failed", "Breaching", measurement.message)
        return ProbeAnswer("Unknown", measurement.verdict.value, measurement.message)
