"""How many finished Rollbacks a policy keeps: `historyLimit`, the oldest go first."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from model_rollback.api.group import API_VERSION
from model_rollback.engine.store import Key, Store
from model_rollback.errors import ClusterError
from model_rollback.ports import Object, ObjectRef, Objects

log = structlog.get_logger(__name__)


class Finished(NamedTuple):
    """A Rollback as it was seen. `at`: when it finished, as the API server writes it."""

    at: str
    name: str
    uid: str
    version: str


class Retention:
    """Remembers name, end and identity of each finished Rollback by its policy; nothing else of it.

    What is unfinished, being undone or under review is never deleted, and neither is what a deleted policy left.
    """

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store = store
        self._objects = objects
        self._finished: dict[Key, dict[str, Finished]] = {}

    def seen(self, body: Object) -> Key | None:
        """A Rollback was seen. Its policy, when that has more than it keeps."""
        metadata = body["metadata"]
        policy = ((body.get("spec") or {}).get("policyRef") or {}).get("name", "")
        key = (metadata["namespace"], policy)
        ended = _ended_at(body.get("status") or {})
        if not ended:
            self._finished.get(key, {}).pop(metadata["name"], None)
            return None
        finished = Finished(
            ended, metadata["name"], metadata["uid"], str(metadata.get("resourceVersion", ""))
        )
        self._finished.setdefault(key, {})[finished.name] = finished
        return key if self._surplus(key) else None

    def gone(self, body: Object) -> None:
        """A Rollback was deleted."""
        metadata = body["metadata"]
        for (namespace, _), kept in self._finished.items():
            if namespace == metadata["namespace"]:
                kept.pop(metadata["name"], None)

    async def prune(self, key: Key) -> None:
        """Deletes what is too much; what cannot be deleted now is tried again when the next Rollback ends.

        One that has changed since it was seen, as when somebody just said Undo, is left to be looked at again.
        """
        for old in self._surplus(key):
            ref = ObjectRef(API_VERSION, "Rollback", key[0], old.name)
            try:
                await self._objects.delete(ref, old.uid, old.version)
            except ClusterError as error:
                log.warning("old rollback not deleted", rollback=str(ref), error=str(error))
                return
            kept = self._finished.get(key, {})
            if kept.get(old.name) == old:
                del kept[old.name]
            log.info("old rollback deleted: historyLimit", rollback=str(ref), policy=key[1])

    def _surplus(self, key: Key) -> list[Finished]:
        """What is too much, oldest first."""
        policy = self._store.policies.get(key)
        if policy is None or policy.spec is None:
            return []
        oldest_first = sorted(self._finished.get(key, {}).values())
        return oldest_first[: max(0, len(oldest_first) - policy.spec.history_limit)]


def _ended_at(status: Mapping[str, Any]) -> str:
    """When it finished, as the API server writes it; empty for what must be kept."""
    if not status.get("result"):
        return ""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Reviewed" and condition.get("status") == "False":
            return ""
    return str((status.get("timeline") or {}).get("finishedAt", ""))
