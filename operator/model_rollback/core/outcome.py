"""How a Rollback can end, as one table: what each result is called in conditions, Events and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import Result

_ANY: Final = frozenset({"True", "False", "Unknown", ""})
_NOT_TRUE: Final = _ANY - {"True"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one result means and how it is told.

    Attributes:
        meaning: for people.
        reason: of the condition `Complete=True`, and of the Event.
        conditions: type → the statuses it may have then; the empty status is a condition that was never set.
    """

    meaning: str
    reason: Reason
    conditions: Mapping[str, frozenset[str]]


OUTCOMES: Final[Mapping[Result, Outcome]] = MappingProxyType(
    {
        "Succeeded": Outcome(
            "The target version is back and every probe passed for `validation.duration`.",
            Reason.ROLLBACK_SUCCEEDED,
            {
                "Planned": frozenset({"True"}),
                "Reverted": frozenset({"True"}),
                "Validated": frozenset({"True"}),
                "Halted": frozenset({"False", ""}),
                "Complete": frozenset({"True"}),
            },
        ),
        "Failed": Outcome(
            "A step failed, and `onFailure: Restore` put everything back as it was before the rollback.",
            Reason.ROLLBACK_FAILED,
            {
                "Planned": frozenset({"True"}),
                "Reverted": frozenset({"False"}),
                "Validated": frozenset({"False"}),
                "Halted": frozenset({"False"}),
                "Complete": frozenset({"True"}),
            },
        ),
        "Superseded": Outcome(
            "Somebody deployed another version, or the target version was there already; that is not undone.",
            Reason.ROLLBACK_SUPERSEDED,
            {
                "Planned": _ANY,
                "Reverted": _ANY,
                "Validated": _NOT_TRUE,
                "Halted": frozenset({"False", ""}),
                "Complete": frozenset({"True"}),
            },
        ),
        "Denied": Outcome(
            "What a person asked for is not allowed: its target is quarantined, not Verified, gone, or what runs "
            "already. Nothing was touched.",
            Reason.ROLLBACK_DENIED,
            {
                "Planned": frozenset({"False"}),
                "Reverted": frozenset({""}),
                "Validated": frozenset({""}),
                "Halted": frozenset({""}),
                "Complete": frozenset({"True"}),
            },
        ),
        "Aborted": Outcome(
            "A person said Abort, or what the rollback needs is gone: put back as before, or with "
            "`onAbort: Leave` left as it is.",
            Reason.ROLLBACK_ABORTED,
            {
                "Planned": _ANY,
                "Reverted": _ANY,
                "Validated": _NOT_TRUE,
                "Halted": frozenset({"False", ""}),
                "Complete": frozenset({"True"}),
            },
        ),
        "Undone": Outcome(
            "It had succeeded, then a person said Undo: put back as before.",
            Reason.ROLLBACK_UNDONE,
            {
                "Planned": frozenset({"True"}),
                "Reverted": frozenset({"False"}),
                "Validated": frozenset({"True"}),
                "Halted": frozenset({"False", ""}),
                "Complete": frozenset({"True"}),
            },
        ),
    }
)
"""The metric label `result` is the result itself."""
