"""Names for the mutating requests of a run, so that the same moment is found again in another run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.support.api_proxy import Request

_BESIDE = ("conditions", "observedGeneration", "timeline", "currentStep", "currentDigest", "components")
"""Fields that change along with others, or at the pace of a rollout: they name no write."""


@dataclass(frozen=True)
class Boundary:
    """One kind of moment: `PATCH rollbacks/status: revert-model Running`."""

    method: str
    resource: str
    purpose: str

    def __str__(self) -> str:
        return f"{self.method} {self.resource}: {self.purpose}"


class Namer:
    """Names the requests of one run in their order: a status write is named by what it changes."""

    def __init__(self) -> None:
        self._statuses: dict[str, dict[str, Any]] = {}

    def name(self, request: Request) -> Boundary:
        """To be called once for each request."""
        return Boundary(request.method, request.resource, self._purpose(request))

    def _purpose(self, request: Request) -> str:
        if request.resource.endswith("/status"):
            after = next(op["value"] for op in request.body if op["path"] == "/status")
            before = self._statuses.get(request.path, {})
            self._statuses[request.path] = after
            return _change(before, after)
        if request.dry_run:
            return "dry run"
        if request.resource == "controllerrevisions":
            return f"keep {request.body['data']['version']}"
        if request.resource == "events":
            return str(request.body["reason"])
        return "create" if request.method == "POST" else "revert"


def boundaries_of(requests: Iterable[Request]) -> list[Boundary]:
    """Every boundary of a run once, in order; Events are left out.

    Events are sent by a task of their own that nothing waits for: what else happens at that moment is any other
    boundary, or what random kills find.
    """
    namer = Namer()
    return list(dict.fromkeys(namer.name(r) for r in requests if r.resource != "events"))


def _change(before: dict[str, Any], after: dict[str, Any]) -> str:
    changed = [key for key in after if after[key] != before.get(key, _nothing(after[key]))]
    telling = [key for key in changed if key not in _BESIDE]
    return ", ".join(_words(key, before.get(key), after[key]) for key in telling) or "what the rollout shows"


def _nothing(value: Any) -> Any:
    """What an absent field amounts to."""
    return type(value)()


def _words(key: str, before: Any, after: Any) -> str:
    match key:
        case "activeRollback":
            return "lock set" if after else "lock cleared"
        case "steps" | "triggers":
            old = {entry["name"]: entry for entry in before or []}
            return " ".join(_entry(e, old.get(e["name"], {})) for e in after if e != old.get(e["name"]))
        case "history":
            return "history: " + " ".join(f"{v['version']} {v['safe']}" for v in after)
        case "validation":
            return "probes: " + " ".join(f"{p['probe']} {p['state']}" for p in after)
        case "currentVersion" | "lastVerifiedVersion" | "result" | "episode" | "attempt":
            return f"{key} {after}"
        case _:
            return key


def _entry(entry: dict[str, Any], before: dict[str, Any]) -> str:
    """A step or a trigger."""
    moved = f"{before.get('state', '')}→{entry['state']}".lstrip("→")
    noted = [key for key in ("writtenAt", "consumedBy") if entry.get(key) and not before.get(key)]
    if entry.get("episode", 0) != before.get("episode", 0):
        noted.append(f"episode {entry['episode']}")
    return " ".join([entry["name"], moved, *noted])
