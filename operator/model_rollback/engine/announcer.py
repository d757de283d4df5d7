"""Tells people: one log line and one Event on each object that a transition concerns."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from model_rollback.api.reasons import Reason
from model_rollback.ports import Notice, Recorder

log = structlog.get_logger(__name__)

_ACTIONS: Final[Mapping[Reason, str]] = {
    Reason.TRIGGER_BREACHED: "Evaluate",
    Reason.TRIGGER_RECOVERED: "Evaluate",
    Reason.METRICS_UNAVAILABLE: "Evaluate",
    Reason.METRICS_AVAILABLE: "Evaluate",
    Reason.INVALID_SPEC: "Validate",
    Reason.COMPONENT_REVERTED: "Revert",
    Reason.VALIDATION_PASSED: "Validate",
    Reason.VALIDATION_FAILED: "Validate",
    Reason.VERSION_QUARANTINED: "Quarantine",
    Reason.QUARANTINE_RELEASED: "Quarantine",
}


class Announcer:
    """Events through a Recorder, log lines through structlog, the same reason in both."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def tell(
        self, reason: Reason, message: str, regarding: Sequence[Mapping[str, Any]], *, warning: bool = False
    ) -> None:
        """Announces a transition on every object in `regarding`, the first one being the subject."""
        subject = regarding[0]
        say = log.warning if warning else log.info
        say(
            message,
            reason=reason.value,
            kind=subject["kind"],
            namespace=subject["metadata"]["namespace"],
            name=subject["metadata"]["name"],
        )
        for obj in regarding:
            self._recorder.publish(
                Notice(
                    regarding=obj,
                    reason=reason,
                    note=message,
                    action=_ACTIONS.get(reason, "Rollback"),
                    warning=warning,
                    related=None if obj is subject else subject,
                )
            )
