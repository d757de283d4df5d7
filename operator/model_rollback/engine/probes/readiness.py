"""Readiness: every component is rolled out, and holds what was put there."""

from collections.abc import Sequence
from typing import ClassVar

from model_rollback.api.v1alpha1.probe import Probe
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.core.live import LiveTarget
from model_rollback.engine.probes.asker import Round, Surroundings
from model_rollback.ports import ProbeAnswer


class Readiness:
    """Looks at nothing but what the watch and the round before it saw."""

    final: ClassVar = False

    def __init__(self, probe: Probe, around: Surroundings) -> None:
        del probe, around

    async def ask(self, round_: Round) -> ProbeAnswer:
        """See `Asker`."""
        return readiness(round_.live, round_.steps)


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
