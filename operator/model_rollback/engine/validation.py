"""Asks the probes: has the rollback worked? A probe that cannot be asked has not passed."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from model_rollback.api.conditions import truncate
from model_rollback.api.v1alpha1.rollback_record import ProbeStatus, Step
from model_rollback.core.live import LiveTarget
from model_rollback.engine.probes import Round, Surroundings, make
from model_rollback.errors import OutsideError
from model_rollback.ports import ProbeAnswer

log = structlog.get_logger(__name__)

MISSES = 3
"""A probe fails after this many misses in a row, rounds in which it could not be asked passed over; a trigger fails by
its own `for`."""


class Validator:
    """The probes of one validation, with what they remember between two rounds. A restart begins anew.

    Attributes:
        latest: what each probe said in the last round, whether or not it was news.
    """

    def __init__(self, around: Surroundings) -> None:
        self._rollback = around.rollback
        self._askers = {probe.name: make(probe, around) for probe in around.procedure.probes}
        self._misses: dict[str, int] = {}
        self.latest: tuple[ProbeStatus, ...] = ()

    async def ask_all(
        self,
        live: Sequence[LiveTarget],
        steps: Sequence[Step],
        before: Sequence[ProbeStatus],
        *,
        now: datetime,
    ) -> tuple[ProbeStatus, ...]:
        """One round, side by side. An answer that is the same as before keeps its time, so that it costs no write."""
        round_ = Round(live, steps, now)
        answers = await asyncio.gather(*(self._ask(name, round_) for name in self._askers))
        self.latest = tuple(
            ProbeStatus(
                probe=name,
                state=answer.state,
                observed=answer.observed[:256],
                message=truncate(answer.message),
                at=now,
            )
            for name, answer in zip(self._askers, answers, strict=True)
        )
        old = {p.probe: p for p in before}
        return tuple(_unless_news(old.get(new.probe), new) for new in self.latest)

    async def _ask(self, name: str, round_: Round) -> ProbeAnswer:
        asker = self._askers[name]
        try:
            answer = await asker.ask(round_)
        except OutsideError as error:
            return ProbeAnswer("Unknown", "", f"could not be asked: {error}")
        except Exception:
            log.exception("a probe failed to ask", rollback=str(self._rollback), probe=name)
            return ProbeAnswer("Unknown", "", "could not be asked; the operator's log says why")
        return answer if asker.final else self._with_misses(name, answer)

    def _with_misses(self, name: str, answer: ProbeAnswer) -> ProbeAnswer:
        if answer.state != "Failed":
            if answer.state == "Passed":
                self._misses[name] = 0
            return answer
        self._misses[name] = self._misses.get(name, 0) + 1
        if self._misses[name] >= MISSES:
            return answer
        return ProbeAnswer(
            "Unknown", answer.observed, f"{answer.message} (miss {self._misses[name]} of {MISSES})"
        )


def _unless_news(old: ProbeStatus | None, new: ProbeStatus) -> ProbeStatus:
    if old is not None and (old.state, old.observed) == (new.state, new.observed):
        return old
    return new
