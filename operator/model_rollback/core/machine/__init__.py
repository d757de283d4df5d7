"""The life of a Rollback as one table.

A Rollback's phase is not stored; it follows from its status (`phase_of`). Every change of a status goes through one
of the functions below, and each of them checks the table twice: that its cause is legal in the phase before, and that
the phase after is one that the table allows. An illegal transition raises and changes nothing. The diagram in the docs
is generated from `TRANSITIONS`.
"""

from model_rollback.core.machine.forward import (
    change_step,
    deny,
    next_target,
    planned,
    preflight_passed,
    preflight_waits,
    probed,
    startable,
    tried,
    validated,
    waits,
    work_steps,
)
from model_rollback.core.machine.intents import heed, new_intent, refusal, refuse
from model_rollback.core.machine.leaving import (
    abandon,
    begin_restore,
    begin_undo,
    halt,
    restored,
    resume,
    superseded,
)
from model_rollback.core.machine.table import TRANSITIONS, Cause, Change, IllegalTransition, Phase, phase_of
from model_rollback.core.machine.words import attempt_of, current_steps, describe_current, half, stopped

__all__ = [
    "TRANSITIONS",
    "Cause",
    "Change",
    "IllegalTransition",
    "Phase",
    "abandon",
    "attempt_of",
    "begin_restore",
    "begin_undo",
    "change_step",
    "current_steps",
    "deny",
    "describe_current",
    "half",
    "halt",
    "heed",
    "new_intent",
    "next_target",
    "phase_of",
    "planned",
    "preflight_passed",
    "preflight_waits",
    "probed",
    "refusal",
    "refuse",
    "restored",
    "resume",
    "startable",
    "stopped",
    "superseded",
    "tried",
    "validated",
    "waits",
    "work_steps",
]
