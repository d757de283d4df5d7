"""What every kind of probe has to work with, and what it owes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from model_rollback.api.v1alpha1.rollback_record import Procedure, Step
from model_rollback.core.live import LiveTarget
from model_rollback.ports import HttpProbes, MetricsSource, ObjectRef, Objects, PodLogs, ProbeAnswer


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One validation: the Rollback that is to be proved, and the ways to ask.

    Attributes:
        version: what the target calls itself when it is asked.
        uid: of the Rollback.
        began: when this validation began; a repeated one begins anew and asks anew.
        target_seen: when the version that is put back was last live before; None: never.
        writer: who creates what a probe needs, which is the account that the ModelDeployment names, if it names one.
        target: component → its target; None for a component that there is not.
    """

    rollback: ObjectRef
    uid: str
    version: str
    procedure: Procedure
    began: datetime
    target_seen: datetime | None
    target: Callable[[str], ObjectRef | None]
    sources: Mapping[str, MetricsSource]
    http: HttpProbes
    logs: PodLogs
    objects: Objects
    writer: Objects

    @property
    def namespace(self) -> str:
        """Where everything is."""
        return self.rollback.namespace


@dataclass(frozen=True, slots=True)
class Round:
    """What is known when the probes are asked."""

    live: Sequence[LiveTarget]
    steps: Sequence[Step]
    now: datetime


class Asker(Protocol):
    """One probe of one validation; it may remember what it saw in earlier rounds."""

    final: ClassVar[bool]
    """Whether one Failed is enough; else it takes several in a row."""

    async def ask(self, round_: Round) -> ProbeAnswer:
        """Its answer now.

        Raises:
            OutsideError: it could not be asked, which is no answer.
        """
