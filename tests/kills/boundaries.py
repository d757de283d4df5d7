"""Names for what the mutating requests of a run say, so that the same moment is found again in another run.

Two runs do not write the same requests: how often a status is written, and what is told together in one write,
depends on the pace of pods and ticks. So a boundary is one fact, and its moment is the first write that tells it.
"""

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.api_proxy import Request

_BESIDE = frozenset(
    {
        "conditions",
        "observedGeneration",
        "timeline",
        "currentStep",
        "currentDigest",
        "components",
        "passingSince",
    }
)
"""Fields that change along with others, or at the pace of a rollout: they are no facts of their own."""

_MIXTURE = re.compile("-[0-9a-f]{4}$")
"""What the name of a version ends in when several sets of values are called the same, as while it is deployed."""


@dataclass(frozen=True)
class Boundary:
    """One fact that is written: `PATCH rollbacks/status: step revert-model Running`."""

    method: str
    resource: str
    fact: str

    def __str__(self) -> str:
        return f"{self.method} {self.resource}: {self.fact}"


class Namer:
    """Names the requests of one run in their order: a status write tells what it changes."""

    def __init__(self) -> None:
        self._statuses: dict[str, dict[str, Any]] = {}

    def name(self, request: Request) -> list[Boundary]:
        """The facts of one request; to be called once for each."""
        return [Boundary(request.method, request.resource, fact) for fact in self._facts(request)]

    def _facts(self, request: Request) -> list[str]:
        if request.resource.endswith("/status"):
            after = next(op["value"] for op in request.body if op["path"] == "/status")
            before = self._statuses.get(request.path, {})
            self._statuses[request.path] = after
            return list(dict.fromkeys(_changes(before, after))) or ["what the rollout shows"]
        if request.resource == "deployments":
            what = "dry run" if request.dry_run else "revert"
            return [f"{what} of {request.path.rsplit('/', 1)[1]}"]
        if request.resource == "controllerrevisions":
            return [f"keep {_MIXTURE.sub('', request.body['data']['version'])}"]
        if request.resource == "events":
            return [str((request.body or {}).get("reason", "counted"))]
        return ["create" if request.method == "POST" else "replace"]


def boundaries_of(requests: Iterable[Request], preferred: Container[Boundary] = ()) -> list[Boundary]:
    """One new fact of every write that tells one, a preferred one if it does, in order; Events are left out.

    Events are sent by a task of their own that nothing waits for: what else happens at that moment is any other
    boundary, or what random kills find.
    """
    namer = Namer()
    found: dict[Boundary, None] = {}
    known: set[Boundary] = set()
    for request in requests:
        told = namer.name(request)
        new = [b for b in told if b not in known]
        if new and request.resource != "events":
            found[next((b for b in new if b in preferred), new[0])] = None
        known |= set(told)
    return list(found)


def _changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    # What says nothing is left out of a status: so is a lock that nobody holds.
    for key, value in {"activeRollback": "", **after}.items():
        if key not in _BESIDE and value != before.get(key, type(value)()):
            yield from _told(key, before.get(key), value)


def _told(key: str, before: Any, after: Any) -> Iterator[str]:
    match key:
        case "activeRollback":
            yield "lock set" if after else "lock cleared"
        case "steps" | "triggers":
            old = {entry["name"]: entry for entry in before or []}
            for entry in after:
                yield from _entry(key.removesuffix("s"), entry, old.get(entry["name"], {}))
        case "history":
            fresh = (v for v in after if v not in (before or []))
            yield from (f"{_MIXTURE.sub('', v['version'])} is {v['safe']}" for v in fresh)
        case "validation":
            yield "probes answered"
        case "currentVersion" if _MIXTURE.search(after):
            yield "a mixture runs"  # which one is seen depends on the pace of the rollouts
        case "currentVersion" | "lastVerifiedVersion" | "result" | "episode" | "attempt":
            yield f"{key} {after}"
        case _:
            yield key


def _entry(what: str, entry: dict[str, Any], before: dict[str, Any]) -> Iterator[str]:
    """A step or a trigger: its new state, and that it was written or answered."""
    if entry.get("state") != before.get("state"):
        yield f"{what} {entry['name']} {entry.get('state')}"
    for key in ("writtenAt", "consumedBy"):
        if entry.get(key) and not before.get(key):
            yield f"{what} {entry['name']} {key}"
