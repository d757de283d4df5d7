"""Tells people: one log line, and one Event on each object that the table of Events names for a transition."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import structlog

from model_rollback.api.reasons import Reason
from model_rollback.core.events import EVENTS, Role
from model_rollback.ports import Notice, Recorder

log = structlog.get_logger(__name__)

_ROLES: Final = frozenset(get_args(Role))


class Announcer:
    """Events through a Recorder, log lines through structlog, the same reason in both."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def tell(self, reason: Reason, message: str, concerned: Sequence[Mapping[str, Any]]) -> None:
        """Announces a transition; `concerned`: every object it is about, the first one being the subject."""
        event = EVENTS[reason]
        subject = concerned[0]
        say = log.warning if event.warning else log.info
        say(
            message,
            reason=reason.value,
            kind=subject["kind"],
            namespace=subject["metadata"]["namespace"],
            name=subject["metadata"]["name"],
        )
        for obj in concerned:
            role = obj["kind"] if obj["kind"] in _ROLES else "target"
            if role in event.on:
                self._recorder.publish(
                    Notice(
                        regarding=obj,
                        reason=reason,
                        note=message,
                        action=event.action,
                        warning=event.warning,
                        related=None if obj is subject else subject,
                    )
                )
