"""What people may ask of a Rollback, phase by phase; whatever else they ask is refused and changes nothing."""

from datetime import timedelta

import pytest

from model_rollback.api.conditions import find_condition
from model_rollback.api.v1alpha1.rollback_record import RollbackStatus
from model_rollback.core import machine
from model_rollback.core.machine import Phase, phase_of
from model_rollback.core.outcome import OUTCOMES
from tests.unit.core.builders import NOW, step, validating
from tests.unit.core.test_machine import PHASES, RESUME, all_restored, halted_at, restoring

OTHERS = {
    "halted while restoring": lambda: halted_at(all_restored(), "restore-model"),
    "Aborted": lambda: machine.restored(all_restored(), at=NOW),
}
STATES = {phase.value: status for phase, status in PHASES.items()} | OTHERS

HEEDED = {
    ("Requested", "Abort"): (Phase.FINISHED, Phase.FINISHED),
    ("Preflight", "Abort"): (Phase.RESTORING, Phase.FINISHED),
    ("Reverting", "Abort"): (Phase.RESTORING, Phase.FINISHED),
    ("Validating", "Abort"): (Phase.RESTORING, Phase.FINISHED),
    ("Restoring", "Abort"): (None, Phase.FINISHED),
    ("Halted", "Abort"): (Phase.RESTORING, Phase.FINISHED),
    ("Halted", "Resume"): (Phase.REVERTING, Phase.REVERTING),
    ("halted while restoring", "Abort"): (Phase.RESTORING, Phase.FINISHED),
    ("halted while restoring", "Resume"): (Phase.RESTORING, Phase.RESTORING),
    ("Finished", "Undo"): (Phase.RESTORING, Phase.RESTORING),
}
"""(state, intent) → where it leads with onAbort Restore and with Leave; None and what is not listed is refused."""


@pytest.mark.parametrize("on_abort", ["Restore", "Leave"])
@pytest.mark.parametrize("intent", ["Abort", "Resume", "Undo"])
@pytest.mark.parametrize("state", STATES)
def test_an_intent_is_heeded_where_it_makes_sense_and_refused_elsewhere(state, intent, on_abort):
    status = STATES[state]()
    leads_to = HEEDED.get((state, intent), (None, None))[on_abort == "Leave"]

    heeded = machine.heed(status, intent, NOW, on_abort, at=NOW)

    assert (heeded.status.handled_intent, heeded.status.handled_intent_at) == (intent, NOW)
    answer = find_condition(heeded.status.conditions, "IntentAccepted")
    assert answer is not None
    if leads_to is not None:
        assert (phase_of(heeded.status), heeded.refused) == (leads_to, "")
        assert (answer.status, answer.reason) == ("True", "IntentAccepted")
        return
    assert heeded.refused
    assert (answer.status, answer.reason, answer.message) == ("False", "IntentRefused", heeded.refused)
    untouched = {"conditions", "handled_intent", "handled_intent_at"}
    assert heeded.status.model_dump(exclude=untouched) == status.model_dump(exclude=untouched)
    kept = {c for c in heeded.status.conditions if c.type != "IntentAccepted"}
    assert kept == set(status.conditions)


def test_an_intent_is_new_once_and_a_new_time_makes_it_new_again():
    fresh = RollbackStatus()
    aborted = machine.heed(validating(), "Abort", NOW, "Restore", at=NOW).status

    assert machine.new_intent("Run", None, fresh) is None
    assert machine.new_intent("Abort", NOW, fresh) == "Abort"
    assert machine.new_intent("Abort", NOW, aborted) is None
    assert machine.new_intent("Abort", NOW + timedelta(seconds=1), aborted) == "Abort"
    assert machine.new_intent("Resume", NOW, aborted) == "Resume"


def test_run_says_nothing():
    status = validating()

    assert machine.heed(status, "Run", NOW, "Restore", at=NOW).status.conditions == status.conditions


def test_an_undo_puts_back_what_was_before_and_has_no_result_until_then():
    succeeded = machine.validated(validating("features", "model"), at=NOW)

    status = machine.begin_undo(succeeded, "a person said Undo", at=NOW)
    assert (status.result, status.restoring, status.current_step) == ("", "Undone", "restore-model")
    complete = find_condition(status.conditions, "Complete")
    assert complete is not None
    assert complete.status == "False"

    for component in ("model", "features"):
        assert step(status, f"restore-{component}").after == step(status, f"revert-{component}").before
        status = machine.change_step(status, f"restore-{component}", at=NOW, state="Succeeded")
    status = machine.restored(status, at=NOW)
    assert status.result == "Undone"
    verdicts = {c.type: c.status for c in status.conditions}
    allowed = OUTCOMES["Undone"].conditions
    assert all(verdicts.get(type_, "") in statuses for type_, statuses in allowed.items())


def test_a_halted_undo_goes_on_as_an_undo():
    undo = machine.begin_undo(machine.validated(validating(), at=NOW), "a person said Undo", at=NOW)

    status = RESUME(halted_at(undo, "restore-model"))

    assert (phase_of(status), status.restoring) == (Phase.RESTORING, "Undone")


def test_an_abort_of_a_running_restore_does_not_change_what_it_ends_in():
    heeded = machine.heed(restoring(validating(), "Failed"), "Abort", NOW, "Restore", at=NOW)

    assert heeded.refused
    assert heeded.status.restoring == "Failed"
