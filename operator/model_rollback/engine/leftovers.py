"""Looks for what a Rollback will not put back. It never stands in the way of one."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.not_reverted import NotReverted
from model_rollback.core.kinds import type_of
from model_rollback.core.leftovers import MOST, appeared_at, beside, of_reference, of_target
from model_rollback.core.references import Reference, references
from model_rollback.engine import revisions
from model_rollback.errors import ClusterError, NotFound
from model_rollback.ports import Object, ObjectRef, Objects

_USED = ("ConfigMap", "Secret")


async def find(
    objects: Objects,
    namespace: str,
    components: Sequence[Component],
    found: Mapping[str, Object],
    reverted: Iterable[str],
    current_since: datetime | None,
    kept: str,
) -> tuple[NotReverted, ...]:
    """What was written since the bad version appeared, in the targets as read and in what their pods use.

    Args:
        found: component → its target.
        reverted: the components that differ from the version that is put back.
        kept: the ControllerRevision of the version that is put back; empty when it was only declared.
    """
    kinds = {c.name: type_of(c) for c in components}
    since = appeared_at([(kinds[name], found[name]) for name in dict.fromkeys(reverted)], current_since)
    if since is None:
        return ()
    before = await _beside_then(objects, namespace, kept)
    leftovers = [
        one for name, obj in found.items() for one in of_target(kinds[name], obj, since, before.get(name))
    ]
    targets = {(obj["kind"], obj["metadata"]["name"]) for obj in found.values()}
    used = {r for obj in found.values() for r in references(obj) if r.kind in _USED}
    looked = await asyncio.gather(
        *(_look(objects, namespace, r, since) for r in sorted(used) if (r.kind, r.name) not in targets)
    )
    return (*leftovers, *(one for ones in looked for one in ones))[:MOST]


def beside_now(components: Sequence[Component], found: Mapping[str, Object]) -> revisions.Beside:
    """What stands beside the version in each target as read."""
    return {c.name: beside(type_of(c), found[c.name]) for c in components}


async def _beside_then(objects: Objects, namespace: str, kept: str) -> revisions.Beside:
    try:
        return await revisions.load_beside(objects, namespace, kept)
    except ClusterError:
        return {}


async def _look(objects: Objects, namespace: str, reference: Reference, since: datetime) -> list[NotReverted]:
    try:
        obj = await objects.get(ObjectRef("v1", reference.kind, namespace, reference.name))
    except NotFound:
        return []
    except ClusterError:
        return [NotReverted(object=str(reference))]
    return of_reference({"kind": reference.kind, **obj}, since)
