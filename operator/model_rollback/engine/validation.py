"""Asks the probes: has the rollback worked? A probe that cannot be asked has not passed."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from model_rollback.api.v1alpha1.probe import HttpProbe, Probe
from model_rollback.api.v1alpha1.rollback import ProbeStatus, Procedure, Step
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.core.live import LiveTarget
from model_rollback.core.measure import measure
from model_rollback.core.questions import questions_of
from model_rollback.core.triggers import TriggerMemory, advance
from model_rollback.engine.scheduler import ask_all
from model_rollback.ports import HttpProbes, MetricsSource, ProbeAnswer

MISSES = 3
"""Readiness and HTTP probes fail after this many misses in a row; a trigger fails by its own `for`."""


class Validator:
    """The probes of one Rollback, with what they remember between two rounds. A restart begins anew."""

    def __init__(
        self,
        namespace: str,
        version: str,
        procedure: Procedure,
        sources: Mapping[str, MetricsSource],
        http: HttpProbes,
    ) -> None:
        self._namespace = namespace
        self._version = version
        self._procedure = procedure
        self._sources = sources
        self._http = http
        self._memories: dict[str, TriggerMemory] = {}
        self._misses: dict[str, int] = {}

    async def ask_all(
        self,
        live: Sequence[LiveTarget],
        steps: Sequence[Step],
        before: Sequence[ProbeStatus],
        *,
        now: datetime,
    ) -> tuple[ProbeStatus, ...]:
        """One round. An answer that is the same as before keeps its time, so that it costs no write."""
        old = {p.probe: p for p in before}
        return tuple(
            [
                await self._ask(probe, live, steps, old.get(probe.name), now)
                for probe in self._procedure.probes
            ]
        )

    async def _ask(
        self,
        probe: Probe,
        live: Sequence[LiveTarget],
        steps: Sequence[Step],
        old: ProbeStatus | None,
        now: datetime,
    ) -> ProbeStatus:
        if probe.trigger is not None:
            answer = await self._trigger(probe.trigger, now)
        elif probe.http is not None:
            answer = self._with_misses(probe.name, await self._ask_http(probe.http))
        else:
            answer = self._with_misses(probe.name, readiness(live, steps))
        if old is not None and (old.state, old.observed) == (answer.state, answer.observed):
            return old
        return ProbeStatus(
            probe=probe.name,
            state=answer.state,
            observed=answer.observed,
            message=answer.message[:1024],
            at=now,
        )

    async def _ask_http(self, probe: HttpProbe) -> ProbeAnswer:
        expected = probe.expect_version.value if probe.expect_version is not None else None
        return await self._http.ask(self._namespace, probe, expected or self._version)

    def _with_misses(self, name: str, answer: ProbeAnswer) -> ProbeAnswer:
        if answer.state != "Failed":
            self._misses[name] = 0
            return answer
        self._misses[name] = self._misses.get(name, 0) + 1
        if self._misses[name] >= MISSES:
            return answer
        return ProbeAnswer(
            "Unknown", answer.observed, f"{answer.message} (miss {self._misses[name]} of {MISSES})"
        )

    async def _trigger(self, name: str, now: datetime) -> ProbeAnswer:
        trigger = next(t for t in self._procedure.triggers if t.name == name)
        before = self._memories.get(name)
        questions = questions_of(trigger, clock_runs=before is not None and before.clock_runs)
        answers = await ask_all(self._sources, self._procedure.metrics_source, questions, now)
        memory = advance(
            trigger,
            before,
            measure(trigger, questions, answers, now=now),
            now=now,
            interval=self._procedure.interval,
        )
        self._memories[name] = memory
        return _recovery(trigger, memory)


def _recovery(trigger: Trigger, memory: TriggerMemory) -> ProbeAnswer:
    if memory.state == "Healthy":
        return ProbeAnswer("Passed", "Healthy", f"{trigger.name}: {memory.message}")
    if memory.state == "Breached":
        return ProbeAnswer("Failed", "Breached", f"{trigger.name}: {memory.message}")
    return ProbeAnswer("Unknown", memory.state, f"{trigger.name}: {memory.message}")


def readiness(live: Sequence[LiveTarget], steps: Sequence[Step]) -> ProbeAnswer:
    """Every component is ready, and each reverted one still holds what was put there."""
    wanted = {s.component: {r.pin: r.value for r in s.after} for s in steps if s.action == "Revert"}
    if not live:
        return ProbeAnswer("Unknown", "", "the targets have not been seen yet")
    for target in live:
        pins = wanted.get(target.component)
        if target.pins is None:
            return ProbeAnswer("Failed", target.component, target.problem)
        if pins is not None and any(target.pins.get(pin) != value for pin, value in pins.items()):
            return ProbeAnswer(
                "Failed", target.component, f"{target.component} no longer holds what was put back"
            )
        if not target.readiness.ready:
            return ProbeAnswer("Failed", target.component, f"{target.component}: {target.readiness.message}")
    return ProbeAnswer("Passed", "ready", "every component is ready")
