"""One module per kind of probe. A new kind is its model, its module here, and a line in `_KINDS`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from model_rollback.api.v1alpha1.probe import Probe
from model_rollback.engine.probes.asker import Asker, Round, Surroundings
from model_rollback.engine.probes.http import Http
from model_rollback.engine.probes.job import Job
from model_rollback.engine.probes.logs import Logs
from model_rollback.engine.probes.metric import Metric
from model_rollback.engine.probes.readiness import Readiness
from model_rollback.engine.probes.trigger import Recovery

__all__ = ["Asker", "Round", "Surroundings", "make"]

_KINDS: Final[Mapping[str, Callable[[Probe, Surroundings], Asker]]] = MappingProxyType(
    {
        "readiness": Readiness,
        "http": Http,
        "trigger": Recovery,
        "metric": Metric,
        "logs": Logs,
        "job": Job,
    }
)


def make(probe: Probe, around: Surroundings) -> Asker:
    """What asks that probe, with nothing remembered yet."""
    return _KINDS[probe.kind](probe, around)
