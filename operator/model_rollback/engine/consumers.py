"""The workloads that read a component when they start: restarted as a part of the component's step."""

from datetime import datetime

from model_rollback.api.v1alpha1.component import Component, Consumer
from model_rollback.core.readiness import NOT_SEEN, Readiness, judge
from model_rollback.core.restart import build_restart, restarted_since
from model_rollback.errors import Conflict, Invalid
from model_rollback.ports import Object, ObjectRef, Objects
from model_rollback.presets.kinds import target_kind

API_VERSION = "apps/v1"


def ref_of_consumer(namespace: str, consumer: Consumer) -> ObjectRef:
    """The object that a component's `restart` names."""
    return ObjectRef(API_VERSION, consumer.kind, namespace, consumer.name)


def consumer_readiness(kind: str, obj: Object | None) -> Readiness:
    """Whether a workload is rolled out, by the rule of its kind; None: it does not exist."""
    if obj is None:
        return Readiness(ready=False, message="it does not exist")
    known = target_kind(API_VERSION, kind)
    return judge(known.readiness, obj) if known is not None else NOT_SEEN


class Consumers:
    """Restarts and looks at the consumers of one Rollback's components."""

    def __init__(self, reader: Objects, writer: Objects, namespace: str) -> None:
        """`reader` and `writer` as in `StepRunner`."""
        self._reader = reader
        self._writer = writer
        self._namespace = namespace

    async def dry_run(self, component: Component, moment: datetime, by: str) -> None:
        """Asks the API server whether it would take each restart.

        Raises:
            ClusterError: it would not, or could not be asked.
        """
        for consumer in component.restart:
            ref = ref_of_consumer(self._namespace, consumer)
            obj = await self._reader.get(ref)
            await self._writer.patch_json(ref, build_restart(obj, moment, by), dry_run=True)

    async def readiness(self, component: Component) -> Readiness:
        """The first consumer that is not rolled out, or ready.

        Raises:
            ClusterError: one could not be read.
        """
        for consumer in component.restart:
            obj = await self._reader.get(ref_of_consumer(self._namespace, consumer))
            found = consumer_readiness(consumer.kind, obj)
            if not found.ready:
                return _named(consumer, found)
        return Readiness(ready=True)

    async def restarted(self, component: Component, moment: datetime, by: str) -> Readiness:
        """Restarts whatever was not restarted since `moment`, then says whether all are rolled out.

        Safe to repeat: the stamp itself tells what is done. A restart that met somebody else's is tried again at the
        next call.

        Raises:
            ClusterError: one could not be read or written.
        """
        waiting = None
        for consumer in component.restart:
            ref = ref_of_consumer(self._namespace, consumer)
            obj = await self._reader.get(ref)
            if restarted_since(obj, moment):
                found = consumer_readiness(consumer.kind, obj)
            else:
                found = Readiness(ready=False, message="it is told to restart")
                try:
                    await self._writer.patch_json(ref, build_restart(obj, moment, by))
                except (Invalid, Conflict) as error:
                    if isinstance(error, Invalid) and error.causes:
                        raise
            if not found.ready and (waiting is None or found.failed):
                waiting = _named(consumer, found)
        return waiting or Readiness(ready=True)


def _named(consumer: Consumer, found: Readiness) -> Readiness:
    message = f"{consumer.kind} {consumer.name}, which reads it: {found.message}"
    return Readiness(ready=False, message=message, failed=found.failed, failed_at=found.failed_at)
