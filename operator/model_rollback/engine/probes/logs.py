"""Logs: the pods of a component have not written what they must not since the revert.

Every line is read once: a round goes on where the one before it stopped. What was written is counted and never
repeated, for logs hold what nobody wants in a status.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from model_rollback.api.patterns import compile_pattern
from model_rollback.api.v1alpha1.probe import LogsProbe, Probe
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.engine.probes.asker import Round, Surroundings
from model_rollback.ports import LogLine, LogStream, ObjectRef, ProbeAnswer

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Position:
    """Read up to here: `lines` lines of the moment `at` are known already."""

    at: datetime
    lines: int = 0


class Logs:
    """Remembers how far it has read and what it found. A restart reads again from the revert."""

    final: ClassVar = False

    def __init__(self, probe: Probe, around: Surroundings) -> None:
        if probe.logs is None:
            raise TypeError(f"probe {probe.name} is no logs probe")
        self._probe: LogsProbe = probe.logs
        self._around = around
        self._pattern = compile_pattern(probe.logs.pattern)
        self._positions: dict[LogStream, _Position] = {}
        self._matches = 0
        self._last = ""

    async def ask(self, round_: Round) -> ProbeAnswer:
        """See `Asker`."""
        component = self._probe.component
        target = self._around.target(component)
        if target is None:
            return ProbeAnswer("Unknown", "", f"the ModelDeployment has no component {component}")
        selector = await self._selector(target)
        if not selector:
            return ProbeAnswer("Unknown", "", f"{target} selects no pods, so there are no logs to look at")
        streams = await self._around.logs.streams(target.namespace, selector, self._probe.container or "")
        if not streams:
            return ProbeAnswer("Unknown", "", f"{target} has no container that has written a log")
        since = _since(round_.steps, component, self._around.began)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(stream: LogStream) -> bool:
            async with gate:
                return await self._read(target.namespace, stream, since)

        return self._judge(any(await asyncio.gather(*map(read, streams))), len(streams))

    async def _selector(self, target: ObjectRef) -> dict[str, Any]:
        spec = (await self._around.objects.get(target)).get("spec") or {}
        selector = spec.get("selector")
        return dict(selector) if isinstance(selector, dict) else {}

    async def _read(self, namespace: str, stream: LogStream, since: datetime) -> bool:
        """Reads on; whether there is more than could be read now."""
        position = self._positions.get(stream, _Position(since))
        part = await self._around.logs.read(namespace, stream, position.at)
        lines, self._positions[stream] = _new(part.lines, position)
        found = await asyncio.to_thread(self._matching, lines)
        if found:
            self._matches += len(found)
            when = f" at {found[-1].at:%H:%M:%S} UTC"
            self._last = f"{stream.pod}/{stream.container}{when}"
        return part.more

    def _matching(self, lines: Sequence[LogLine]) -> list[LogLine]:
        return [line for line in lines if self._pattern.search(line.text)]

    def _judge(self, more: bool, streams: int) -> ProbeAnswer:
        allowed, observed = self._probe.max_matches, str(self._matches)
        what = f"{self._matches} lines match {self._probe.pattern!r}, {allowed} allowed"
        if self._matches > allowed:
            return ProbeAnswer("Failed", observed, f"{what}; the last in {self._last}")
        if more:
            return ProbeAnswer(
                "Unknown", observed, f"{what} so far; the logs are longer than one round reads"
            )
        return ProbeAnswer("Passed", observed, f"{what}, in the logs of {streams} containers")


def _since(steps: Sequence[Step], component: str, began: datetime) -> datetime:
    """When what was put back began to run: the write to that component, else the first write of the plan."""
    written = {s.component: s.written_at for s in steps if s.action == "Revert" and s.written_at is not None}
    return written.get(component) or min(written.values(), default=began)


def _new(lines: Sequence[LogLine], position: _Position) -> tuple[list[LogLine], _Position]:
    """What was not read before, and the place after it. The API server cuts at whole seconds, so lines come again."""
    fresh = [line for line in lines if line.at >= position.at]
    known = position.lines
    while known and fresh and fresh[0].at == position.at:
        fresh, known = fresh[1:], known - 1
    if not fresh:
        return [], position
    last = fresh[-1].at
    at_last = sum(line.at == last for line in fresh)
    return fresh, _Position(last, at_last + (position.lines if last == position.at else 0))
