"""The API server's audit log as data: who wrote what."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until

WRITING_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class AuditEvent:
    """One finished request (stage ResponseComplete), as audit.k8s.io/v1 describes it."""

    user: str
    user_agent: str
    verb: str
    uri: str
    code: int
    impersonated: str | None
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    raw: dict[str, Any]

    @property
    def writes(self) -> bool:
        return self.verb in WRITING_VERBS and "dryRun=" not in self.uri

    @property
    def received_at(self) -> datetime:
        """When the API server began to read the request."""
        return datetime.fromisoformat(self.raw["requestReceivedTimestamp"])

    @classmethod
    def of(cls, event: dict[str, Any]) -> "AuditEvent":
        about = event.get("objectRef", {})
        return cls(
            user=event["user"]["username"],
            user_agent=event.get("userAgent", ""),
            verb=event["verb"],
            uri=event["requestURI"],
            code=event.get("responseStatus", {}).get("code", 0),
            impersonated=event.get("impersonatedUser", {}).get("username"),
            group=about.get("apiGroup", ""),
            resource=about.get("resource", ""),
            subresource=about.get("subresource", ""),
            namespace=about.get("namespace", ""),
            name=about.get("name", ""),
            raw=event,
        )


class Audit:
    """Reads the log from a mark onwards; a mark is an offset in bytes.

    `request` sends a GET for a path to the API server. It is used as a fence: an answer of `since` holds every
    request that was answered before the call, because it is read only when a later request stands in the log.
    """

    def __init__(self, log: Path, request: Callable[[str], object]) -> None:
        self._log = log
        self._request = request

    def mark(self) -> int:
        """The place in the log after everything that was answered so far."""
        return self._fence()

    def since(
        self,
        mark: int,
        *,
        user: str | None = None,
        user_agent: str | None = None,
        verb: str | None = None,
        resource: str | None = None,
        namespace: str | None = None,
    ) -> list[AuditEvent]:
        """The requests after `mark`, in the order of the log. `user_agent` is a prefix, the others are exact.

        Components of the control plane share one user: tell them apart by `user_agent`.
        """
        end = self._fence()
        only = (user or namespace or "").encode()
        wanted = {"user": user, "verb": verb, "resource": resource, "namespace": namespace}
        return [
            event
            for event in self._read(mark, end, only)
            if all(value is None or getattr(event, key) == value for key, value in wanted.items())
            and event.user_agent.startswith(user_agent or "")
        ]

    def writes_since(
        self, mark: int, *, user: str | None = None, namespace: str | None = None
    ) -> list[AuditEvent]:
        """What was written after `mark`, refused attempts included; dry runs are not writes."""
        return [event for event in self.since(mark, user=user, namespace=namespace) if event.writes]

    def _fence(self) -> int:
        token = uuid.uuid4().hex
        start = self._log.stat().st_size
        self._request(f"/api/v1/namespaces/default?fence={token}")
        return wait_until(
            lambda: self._end_of_line_with(token, start), 30, describe=f"a request of our own in {self._log}"
        )

    def _end_of_line_with(self, token: str, start: int) -> int:
        with self._log.open("rb") as log:
            log.seek(start)
            while line := log.readline():
                if token.encode() in line and line.endswith(b"\n") and b"ResponseComplete" in line:
                    return log.tell()
        return 0

    def _read(self, start: int, end: int, only: bytes) -> Iterator[AuditEvent]:
        """Lines without `only` are not even parsed: many tests write into one log."""
        with self._log.open("rb") as log:
            log.seek(start)
            at = start
            for line in log:
                at += len(line)
                if at > end:
                    return
                if only not in line:
                    continue
                event = json.loads(line)
                if event["stage"] == "ResponseComplete" and "fence=" not in event["requestURI"]:
                    yield AuditEvent.of(event)
