"""The log line of a trigger's transition."""

import structlog

from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.core.comparison import in_words
from model_rollback.core.triggers import TriggerMemory
from model_rollback.ports import ObjectRef

log = structlog.get_logger(__name__)


def explain(policy: ObjectRef, trigger: Trigger, before: TriggerMemory | None, after: TriggerMemory) -> None:
    """Says what decided when the state has changed; a trigger that is healthy from the start has no line."""
    was = before.state if before is not None else "Healthy"
    if was == after.state:
        return
    log.info(
        "trigger changed state",
        namespace=policy.namespace,
        policy=policy.name,
        trigger=trigger.name,
        before=was,
        state=after.state,
        value=after.value,
        bad=trigger.alert.name if trigger.alert is not None else in_words(trigger.breach),
        why=after.message,
        episode=after.episode,
    )
