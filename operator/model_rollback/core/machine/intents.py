"""What people want of a Rollback: which intent is heeded where, and what the others are told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import Intent, RollbackStatus
from model_rollback.core.machine.leaving import abandon, begin_restore, begin_undo, resume
from model_rollback.core.machine.table import Phase, phase_of
from model_rollback.core.machine.words import say

OnAbort = Literal["Restore", "Leave"]


@dataclass(frozen=True, slots=True)
class Heeded:
    """The status after a person's request. `refused`: why nothing but the answer is in it; empty when it was heeded."""

    status: RollbackStatus
    refused: str = ""


def new_intent(intent: Intent, intent_at: datetime | None, status: RollbackStatus) -> Intent | None:
    """The request a person makes now, or None when it is the one already answered."""
    if (intent, intent_at) == (status.handled_intent, status.handled_intent_at):
        return None
    return intent


def heed(
    status: RollbackStatus, intent: Intent, intent_at: datetime | None, on_abort: OnAbort, *, at: datetime
) -> Heeded:
    """Answers a request: it is acted upon, or refused with the reason, and either is noted."""
    answered = status.model_copy(update={"handled_intent": intent, "handled_intent_at": intent_at})
    refused = refusal(answered, intent, on_abort)
    if refused:
        return Heeded(say(answered, "IntentAccepted", False, Reason.INTENT_REFUSED, refused, at), refused)
    if intent == "Run":
        return Heeded(answered)
    answered = say(answered, "IntentAccepted", True, Reason.INTENT_ACCEPTED, f"{intent} is acted upon", at)
    return Heeded(_act(answered, intent, on_abort, at))


def refuse(
    status: RollbackStatus, intent: Intent, intent_at: datetime | None, why: str, *, at: datetime
) -> RollbackStatus:
    """Notes that the request is refused for a reason that the status does not hold."""
    answered = status.model_copy(update={"handled_intent": intent, "handled_intent_at": intent_at})
    return say(answered, "IntentAccepted", False, Reason.INTENT_REFUSED, why, at)


def refusal(status: RollbackStatus, intent: Intent, on_abort: OnAbort) -> str:
    """Why this intent makes no sense here; empty when it does."""
    phase = phase_of(status)
    if intent == "Run":
        return ""
    if intent == "Resume":
        return "" if phase is Phase.HALTED else "Resume is for a Rollback that is halted"
    if intent == "Undo":
        return "" if status.result == "Succeeded" else "Undo is for a Rollback that succeeded"
    if phase is Phase.FINISHED:
        return f"it is finished with result {status.result}: there is nothing to abort"
    if phase is Phase.RESTORING and on_abort == "Restore":
        return "it is being put back as before already; Abort with onAbort: Leave would stop that half way"
    return ""


def _act(status: RollbackStatus, intent: Intent, on_abort: OnAbort, at: datetime) -> RollbackStatus:
    phase = phase_of(status)
    if intent == "Resume":
        return resume(status, at=at)
    if intent == "Undo":
        return begin_undo(status, "a person said Undo", at=at)
    if on_abort == "Leave" or phase is Phase.REQUESTED:
        return abandon(status, "a person said Abort; nothing was put back.", at=at)
    if status.restoring:
        return resume(status, at=at)
    return begin_restore(status, "Aborted", "a person said Abort", at=at)
