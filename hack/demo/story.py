"""From one look to the next: what happened between them, in plain words. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .observing import Object, Snapshot
from .recommender import JUDGED_FROM
from .screen import Tone

_NOTEWORTHY = 0.02
"""A change of accuracy that is worth a line."""

_HELD = timedelta(seconds=1)

_TONES: Mapping[str, Tone] = {
    "Pending": "bad",
    "Breached": "bad",
    "Failed": "bad",
    "Passed": "good",
    "Succeeded": "good",
}


@dataclass(frozen=True)
class Happening:
    """One line of the story; `at`: when it happened, as the one who did it says."""

    at: datetime
    text: str
    tone: Tone = "plain"


class Storyteller:
    """Remembers what was told. `threshold`: the accuracy that the policy asks for."""

    def __init__(self, before: Snapshot, threshold: float) -> None:
        self._before = before
        self._threshold = threshold
        self._told = before.accuracy
        self._held: list[Happening] = []

    def tell(self, now: Snapshot) -> list[Happening]:
        """What happened, oldest first. The last second is held back: a later look may show something earlier."""
        before, self._before = self._before, now
        happened = [
            *_served(before, now),
            *self._measured(now),
            *_judged(before, now),
            *_rolled_back(before, now),
        ]
        self._held = sorted([*self._held, *happened], key=lambda each: each.at)
        told = [each for each in self._held if each.at <= now.at - _HELD]
        del self._held[: len(told)]
        return told

    def rest(self) -> list[Happening]:
        """What was held back, when there is no later look."""
        rest, self._held = self._held, []
        return rest

    def _measured(self, now: Snapshot) -> Iterator[Happening]:
        told, seen = self._told, now.accuracy
        if seen is None:
            self._told = None
            if told is not None:
                yield Happening(
                    now.at,
                    f"Prometheus: no accuracy of {now.serving} before {JUDGED_FROM} of its answers are labelled; "
                    "missing data never counts as bad",
                )
        elif told is None or told.version != seen.version or abs(told.value - seen.value) >= _NOTEWORTHY:
            self._told = seen
            good = seen.value >= self._threshold
            yield Happening(
                seen.scraped_at,
                f"Prometheus: accuracy of {seen.version} is {seen.value:.3f}, "
                f"{'not below' if good else 'below'} {self._threshold:.2f}",
                "good" if good else "bad",
            )


def moment(text: str) -> datetime:
    """A time as the Kubernetes API writes it."""
    return datetime.fromisoformat(text)


def _served(before: Snapshot, now: Snapshot) -> Iterator[Happening]:
    if now.serving != before.serving:
        yield Happening(now.at, f"users are answered by {now.serving or 'nobody'}")


def _judged(before: Snapshot, now: Snapshot) -> Iterator[Happening]:
    states = {each["name"]: each["state"] for each in before.triggers}
    for trigger in now.triggers:
        state = trigger["state"]
        if state != states.get(trigger["name"]):
            text = f"trigger {trigger['name']}: {state} ({trigger['message']})"
            yield Happening(moment(trigger["since"]), text, _TONES.get(state, "plain"))


def _rolled_back(before: Snapshot, now: Snapshot) -> Iterator[Happening]:
    status = now.rollback_status
    if not status:
        return
    if not before.rollback_status:
        yield Happening(
            moment(status["timeline"]["detectedAt"]),
            f"Rollback {now.rollback['metadata']['name']} started: {status['fromVersion']} → {status['toVersion']}, "
            f"because {now.rollback['spec']['reason']}",
        )
    steps = {each["name"]: each for each in before.rollback_status.get("steps", [])}
    for step in status.get("steps", []):
        yield from _stepped(steps.get(step["name"], {}), step, status)
    yield from _probed(before.rollback_status, status)
    halted = now.condition("Halted")
    if halted.get("status") == "True" != before.condition("Halted").get("status"):
        yield Happening(now.at, f"the rollback is halted: {halted['message']}", "bad")
    if now.result and not before.result:
        yield Happening(
            moment(status["timeline"]["finishedAt"]),
            f"Rollback {now.result}: {now.condition('Complete').get('message', '')}",
            _TONES.get(now.result, "bad"),
        )


def _stepped(before: Object, step: Object, status: Object) -> Iterator[Happening]:
    """What a step says of itself that it did not say before."""
    new = {name: moment(step[name]) for name in ("startedAt", "writtenAt", "finishedAt") if step.get(name)}
    new = {name: at for name, at in new.items() if not before.get(name)}
    if step["action"] == "Validate":
        if "startedAt" in new:
            yield Happening(new["startedAt"], _validation(status["procedure"]))
        return
    component = step["component"]
    version = status["toVersion" if step["action"] == "Revert" else "fromVersion"]
    if "startedAt" in new:
        yield Happening(
            new["startedAt"],
            f"component {component}: the API server took the change in a dry run, now for real",
        )
    if "writtenAt" in new:
        yield Happening(new["writtenAt"], f"component {component}: the pod template of {version} is written")
    if "finishedAt" in new:
        done = step["state"] in ("Succeeded", "Skipped")
        said = f"back at {version}, its new pods are ready" if done else f"{step['state']}, {step['message']}"
        yield Happening(
            new["finishedAt"], f"component {component}: {said}", _TONES.get(step["state"], "plain")
        )


def _probed(before: Object, status: Object) -> Iterator[Happening]:
    states = {each["probe"]: each["state"] for each in before.get("validation", [])}
    for probe in status.get("validation", []):
        state = probe["state"]
        if state != states.get(probe["probe"]):
            text = f"probe {probe['probe']}: {state} ({probe['message']})"
            yield Happening(moment(probe["at"]), text, _TONES.get(state, "plain"))


def _validation(procedure: Mapping[str, Any]) -> str:
    names = ", ".join(each["name"] for each in procedure["probes"])
    return (
        f"validation: wait {procedure['settle']} for old samples to leave, then these probes must pass for "
        f"{procedure['duration']}: {names}"
    )
