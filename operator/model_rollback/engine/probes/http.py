"""HTTP: a Service answers as expected, with the version that was put back."""

from typing import ClassVar

from model_rollback.api.v1alpha1.probe import HttpProbe, Probe
from model_rollback.engine.probes.asker import Round, Surroundings
from model_rollback.ports import ProbeAnswer


class Http:
    """One request a round."""

    final: ClassVar = False

    def __init__(self, probe: Probe, around: Surroundings) -> None:
        if probe.http is None:
            raise TypeError(f"probe {probe.name} is no http probe")
        self._probe: HttpProbe = probe.http
        self._around = around

    async def ask(self, round_: Round) -> ProbeAnswer:
        """See `Asker`."""
        del round_
        expected = self._probe.expect_version.value if self._probe.expect_version is not None else None
        around = self._around
        return await around.http.ask(around.namespace, self._probe, expected or around.version)
