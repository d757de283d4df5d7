"""Deletes kept versions that nobody names any more: not the history of their ModelDeployment, and no Rollback.

What to delete follows from what there is, so whoever crashed half way is followed by one that goes on.
"""

import structlog

from model_rollback.api.group import API_VERSION, LABEL_MODEL_DEPLOYMENT, label_value
from model_rollback.engine import revisions
from model_rollback.engine.store import SystemEntry
from model_rollback.errors import ClusterError
from model_rollback.ports import Lists, Object, Objects

log = structlog.get_logger(__name__)


class Pruning:
    """Runs when a version fell out of a history, or a Rollback was deleted."""

    def __init__(self, objects: Objects, lists: Lists) -> None:
        self._objects = objects
        self._lists = lists

    async def prune(self, entry: SystemEntry) -> None:
        """Raises nothing but cancellation; what cannot be deleted now is tried again at the next occasion."""
        try:
            # Whoever wants the lock writes this status, so no plan is made meanwhile that rests on one of them; and
            # what was kept for a history that is about to be written looks as if nobody named it.
            async with entry.keeping, entry.writing:
                if await self._may_prune(entry):
                    await self._prune(entry)
        except ClusterError as error:
            log.warning("kept versions not pruned yet", modeldeployment=str(entry.ref), error=str(error))

    async def _may_prune(self, entry: SystemEntry) -> bool:
        """Judged by what is stored: a deletion cannot be taken back, and the answer to a write may have been lost."""
        body = await self._objects.get(entry.ref)
        if body["metadata"]["uid"] != entry.uid:
            return False
        entry.adopt(body)
        return not entry.unreadable and not entry.status.active_rollback

    async def _prune(self, entry: SystemEntry) -> None:
        namespace = entry.ref.namespace
        labels = {LABEL_MODEL_DEPLOYMENT: label_value(entry.ref.name)}
        kept = await self._lists.list(revisions.API, revisions.KIND, namespace, labels)
        unnamed = [r for r in kept if _is_of(entry, r) and r["metadata"]["name"] not in _history(entry)]
        if not unnamed:
            return
        rollbacks = await self._lists.list(API_VERSION, "Rollback", namespace, {})
        needed = {name for rollback in rollbacks for name in _named_by(rollback)}
        for revision in unnamed:
            name = revision["metadata"]["name"]
            if name not in needed:
                await revisions.discard(self._objects, revision)
                log.info("kept version deleted", modeldeployment=str(entry.ref), revision=name)


def _is_of(entry: SystemEntry, revision: Object) -> bool:
    """Made by us for this very ModelDeployment, whatever its labels say."""
    owners = revision["metadata"].get("ownerReferences") or ()
    return any(o.get("uid") == entry.uid and o.get("kind") == entry.ref.kind for o in owners)


def _history(entry: SystemEntry) -> set[str]:
    return {v.revision for v in entry.status.history}


def _named_by(rollback: Object) -> set[str]:
    """A finished one may still be undone, so it counts for as long as there is one."""
    status = rollback.get("status") or {}
    targets = [str(t.get("revision", "")) for t in status.get("targets") or ()]
    return {str(status.get("fromRevision", "")), str(status.get("toRevision", "")), *targets}
