"""Recovery: a trigger of the policy is Healthy again."""

from typing import ClassVar

from model_rollback.api.v1alpha1.probe import Probe
from model_rollback.core.measure import measure
from model_rollback.core.questions import questions_of
from model_rollback.core.triggers import TriggerMemory, advance
from model_rollback.engine.probes.asker import Round, Surroundings
from model_rollback.engine.scheduler import ask_all
from model_rollback.ports import ProbeAnswer


class Recovery:
    """Keeps a clock of its own, which begins with the validation: the trigger fails by its own `for`.

    It has recovered once it was beyond `recoverAt`, as after every breach; from then on the threshold counts.
    """

    final: ClassVar = True

    def __init__(self, probe: Probe, around: Surroundings) -> None:
        self._around = around
        self._trigger = next(t for t in around.procedure.triggers if t.name == probe.trigger)
        self._memory: TriggerMemory | None = None
        self._recovered = False

    async def ask(self, round_: Round) -> ProbeAnswer:
        """See `Asker`."""
        procedure, trigger = self._around.procedure, self._trigger
        questions = questions_of(
            trigger,
            clock_runs=self._memory is not None and self._memory.clock_runs,
            target_seen=self._around.target_seen,
        )
        answers = await ask_all(self._around.sources, procedure.metrics_source, questions, round_.now)
        measurement = measure(trigger, questions, answers, now=round_.now)
        memory = self._memory = advance(
            trigger,
            self._memory,
            measurement,
            now=round_.now,
            interval=procedure.interval,
        )
        message = f"{trigger.name}: {memory.message}"
        if memory.state == "Healthy" and measurement.recovering and not self._recovered:
            return ProbeAnswer("Unknown", "Recovering", f"{trigger.name}: {measurement.recovering}")
        if memory.state == "Healthy":
            self._recovered = True
            return ProbeAnswer("Passed", "Healthy", message)
        if memory.state == "Breached":
            return ProbeAnswer("Failed", "Breached", message)
        return ProbeAnswer("Unknown", memory.state, message)
