"""The life of a Rollback: every transition of the table is reached, every other one is refused."""

import pytest

from model_rollback.api.conditions import find_condition, is_true
from model_rollback.api.reasons import Reason
from model_rollback.core import machine
from model_rollback.core.events import EVENTS
from model_rollback.core.machine import TRANSITIONS, Cause, IllegalTransition, Phase, phase_of
from model_rollback.core.outcome import OUTCOMES
from tests.unit.core.builders import (
    NOW,
    at,
    begun,
    done,
    in_preflight,
    next_target,
    plan,
    requested,
    reverting,
    step,
    validating,
    written,
)

MODEL = "revert-model"
TWO = ("features", "model")


def change(status, name, **changes):
    return machine.change_step(status, name, at=NOW, **changes)


def halted_at(status, name):
    return machine.halt(status, name, Reason.STEP_TIMED_OUT, "it took too long", at=NOW)


def restoring(status, ends_in="Aborted"):
    return machine.begin_restore(status, ends_in, "a person said Abort", at=NOW)


def half_done():
    """`features` is back, `model` was written and hangs."""
    status = reverting(*TWO)
    for name in ("revert-features", MODEL):
        status = written(begun(status, name), name)
    return done(status, "revert-features")


def all_restored():
    return change(restoring(written(begun(reverting(), MODEL), MODEL)), "restore-model", state="Succeeded")


FUNCTIONS = {
    Cause.WAITS: lambda s: machine.waits(s, "another is at work", at=NOW),
    Cause.DENIED: lambda s: machine.deny(s, Reason.NO_SAFE_TARGET, "v12: quarantined", at=NOW),
    Cause.PLANNED: lambda s: machine.planned(s, plan(), at=NOW),
    Cause.PREFLIGHT_WAITS: lambda s: machine.preflight_waits(s, Reason.FORBIDDEN, "may not patch", at=NOW),
    Cause.PREFLIGHT_PASSED: lambda s: machine.preflight_passed(s, at=NOW),
    Cause.STEP_CHANGED: lambda s: change(s, "validate", message="waits"),
    Cause.PROBED: lambda s: machine.probed(s, passing_since=NOW),
    Cause.VALIDATED: lambda s: machine.validated(s, at=NOW),
    Cause.NEXT_TARGET: next_target,
    Cause.UNDO: lambda s: machine.begin_undo(s, "a person said Undo", at=NOW),
    Cause.HALT: lambda s: halted_at(s, ""),
    Cause.RESUME: lambda s: machine.resume(s, at=NOW),
    Cause.RESTORE: restoring,
    Cause.RESTORED: lambda s: machine.restored(s, at=NOW),
    Cause.SUPERSEDED: lambda s: machine.superseded(s, "a newer deploy", at=NOW),
    Cause.ABANDONED: lambda s: machine.abandon(s, "a person said Abort and Leave.", at=NOW),
}

PHASES = {
    Phase.REQUESTED: requested,
    Phase.PREFLIGHT: in_preflight,
    Phase.REVERTING: reverting,
    Phase.VALIDATING: validating,
    Phase.RESTORING: all_restored,
    Phase.HALTED: lambda: halted_at(begun(reverting(), MODEL), MODEL),
    Phase.FINISHED: lambda: machine.validated(validating(), at=NOW),
}

REACHED = {(phase, cause): (PHASES[phase], FUNCTIONS[cause]) for phase, cause in TRANSITIONS}
RESUME = FUNCTIONS[Cause.RESUME]
OTHER_WAYS = [
    (
        Cause.STEP_CHANGED,
        Phase.VALIDATING,
        lambda: written(begun(reverting(), MODEL), MODEL),
        lambda s: done(s, MODEL),
    ),
    (Cause.STEP_CHANGED, Phase.FINISHED, reverting, lambda s: change(s, MODEL, state="Skipped")),
    (Cause.RESUME, Phase.PREFLIGHT, lambda: halted_at(in_preflight(), ""), RESUME),
    (Cause.RESUME, Phase.VALIDATING, lambda: halted_at(validating(), "validate"), RESUME),
    (Cause.RESUME, Phase.RESTORING, lambda: halted_at(all_restored(), "restore-model"), RESUME),
]
"""Where one cause leads from one phase to several, the ways that `REACHED` does not take."""


def test_every_transition_of_the_table_is_reached_by_its_function():
    reached = set()
    for (phase, cause), (status, function) in REACHED.items():
        before = status()
        assert phase_of(before) is phase
        reached.add((phase, cause, phase_of(function(before))))
    for cause, after, status, function in OTHER_WAYS:
        before = status()
        assert phase_of(function(before)) is after
        reached.add((phase_of(before), cause, after))

    assert reached == {
        (phase, cause, after) for (phase, cause), afters in TRANSITIONS.items() for after in afters
    }


ILLEGAL = [(phase, cause) for phase in Phase for cause in Cause if (phase, cause) not in TRANSITIONS]


@pytest.mark.parametrize(("phase", "cause"), ILLEGAL, ids=[f"{c.name} while {p}" for p, c in ILLEGAL])
def test_an_illegal_transition_raises_and_changes_nothing(phase, cause):
    status = PHASES[phase]()
    before = status.model_dump_json()

    with pytest.raises(IllegalTransition, match=f"not legal while {phase}"):
        FUNCTIONS[cause](status)

    assert status.model_dump_json() == before


@pytest.mark.parametrize("cause", Cause)
def test_there_is_one_function_for_each_cause_and_it_is_legal_somewhere(cause):
    assert cause in FUNCTIONS
    assert any(legal is cause for _, legal in TRANSITIONS)


def test_a_change_that_leads_elsewhere_than_its_cause_may_is_refused():
    status = validating()

    with pytest.raises(IllegalTransition, match="led from Validating to Reverting"):
        change(status, MODEL, state="Failed")
    with pytest.raises(IllegalTransition, match="led from Requested to Requested"):
        machine.planned(requested(), {}, at=NOW)

    assert phase_of(status) is Phase.VALIDATING


def test_nothing_but_undo_leads_out_of_finished():
    assert [cause for phase, cause in TRANSITIONS if phase is Phase.FINISHED] == [Cause.UNDO]


def said(status, type_):
    found = find_condition(status.conditions, type_)
    return (found.status, found.reason) if found is not None else None


def test_a_plan_says_what_is_not_yet():
    status = in_preflight()

    assert said(status, "Planned") == ("Unknown", "Running")
    assert {said(status, t) for t in ("Reverted", "Validated", "Complete")} == {("False", "Pending")}
    assert said(machine.preflight_passed(status, at=NOW), "Planned") == ("True", "Planned")


def test_a_preflight_that_waits_says_why():
    status = FUNCTIONS[Cause.PREFLIGHT_WAITS](in_preflight())

    assert said(status, "Planned") == ("False", "Forbidden")


def test_the_moments_of_the_timeline():
    status = machine.preflight_passed(in_preflight(*TWO), at=at(1))
    for tick, name in ((10, "revert-features"), (20, MODEL)):
        status = machine.change_step(status, name, at=at(tick), state="Running", started_at=at(tick))
        status = machine.change_step(status, name, at=at(tick + 1), written_at=at(tick + 1))
        status = machine.change_step(
            status, name, at=at(tick + 5), state="Succeeded", finished_at=at(tick + 5)
        )
    assert said(status, "Reverted") == ("True", "ComponentReverted")

    status = machine.validated(machine.probed(status, passing_since=at(60)), at=at(360))

    times = status.timeline
    assert (times.first_write_at, times.reverted_at) == (at(11), at(25))
    assert (times.validated_at, times.finished_at) == (at(360), at(360))
    assert step(status, "validate").state == "Succeeded"
    complete = find_condition(status.conditions, "Complete")
    assert complete is not None
    assert (complete.status, complete.message) == ("True", "v12 is back and validated")


def test_a_rollback_that_found_everything_done_by_others_is_superseded_at_once():
    status = reverting(*TWO)
    for name in ("revert-features", MODEL):
        assert phase_of(status) is Phase.REVERTING
        status = change(begun(status, name), name, state="Skipped")

    assert (status.result, said(status, "Reverted")) == ("Superseded", ("False", "Pending"))
    assert said(status, "Complete") == ("True", "RollbackSuperseded")


def test_one_component_that_we_reverted_is_enough_to_go_on():
    status = change(begun(reverting(*TWO), "revert-features"), "revert-features", state="Skipped")
    status = done(written(begun(status, MODEL), MODEL), MODEL)

    assert phase_of(status) is Phase.VALIDATING


def test_halted_says_exactly_what_is_half_and_who_leads_out():
    status = halted_at(half_done(), MODEL)

    halted = find_condition(status.conditions, "Halted")
    assert halted is not None
    assert halted.message == (
        "it took too long. Reverted: features. Half done: model. "
        "A person must say Resume (the step is repeated) or Abort."
    )
    assert (step(status, MODEL).state, status.result) == ("Failed", "")


def test_halted_before_anything_was_written_says_so():
    status = halted_at(in_preflight(*TWO), "")

    halted = find_condition(status.conditions, "Halted")
    assert halted is not None
    assert "Not touched: features, model." in halted.message


def test_a_failed_validation_says_so_in_its_own_condition():
    status = machine.halt(validating(), "validate", Reason.VALIDATION_FAILED, "answers: v13", at=NOW)

    assert said(status, "Validated") == ("False", "ValidationFailed")
    assert said(status, "Reverted") == ("True", "ComponentReverted")


def test_while_it_is_proved_its_condition_says_what_it_waits_for():
    status = begun(validating(), "validate")

    found = find_condition(status.conditions, "Validated")
    assert found is not None
    assert (found.status, found.reason) == ("False", "Running")
    assert (
        found.message == "settles until 10:01:00 UTC, then these must pass for 5m: ready, recovered-accuracy"
    )


def test_resume_repeats_the_step_with_a_fresh_clock_and_forgets_the_probes():
    status = machine.probed(validating(), passing_since=NOW)
    status = machine.resume(halted_at(status, "validate"), at=at(900))

    repeated = step(status, "validate")
    assert (repeated.state, repeated.started_at, repeated.message) == ("Pending", None, "")
    assert (status.passing_since, status.validation) == (None, ())
    assert said(status, "Halted") == ("False", "RollbackResumed")


def test_a_restore_runs_backwards_over_what_was_touched():
    status = restoring(halted_at(half_done(), MODEL))

    restores = [s for s in status.steps if s.action == "Restore"]
    assert [s.name for s in restores] == ["restore-model", "restore-features"]
    for restore in restores:
        revert = step(status, f"revert-{restore.component}")
        assert (restore.before, restore.after, restore.was_ready) == (revert.after, revert.before, True)
    assert said(status, "Halted") == ("False", "Running")


def test_a_restore_leaves_alone_what_was_not_touched_or_was_there_already():
    status = change(begun(reverting("a", "b", "c"), "revert-a"), "revert-a", state="Skipped")
    status = restoring(written(begun(status, "revert-b"), "revert-b"))

    assert [s.name for s in status.steps if s.action == "Restore"] == ["restore-b"]
    assert status.current_step == "restore-b"


def test_a_restore_takes_back_the_word_reverted():
    assert said(restoring(validating()), "Reverted") == ("False", "RollbackAborted")


@pytest.mark.parametrize("ends_in", ["Aborted", "Failed"])
def test_a_restore_ends_in_what_it_was_begun_for(ends_in):
    status = restoring(half_done(), ends_in)
    for name in ("restore-model", "restore-features"):
        status = change(status, name, state="Succeeded")
    status = machine.restored(status, at=NOW)

    assert status.result == ends_in
    told = {c.type: c.message for c in status.conditions if c.type in ("Reverted", "Halted")}
    assert told == {"Reverted": "put back as before: features, model", "Halted": ""}, "not that it goes on"
    assert {step(status, f"revert-{c}").state for c in TWO} == {"Restored"}


def test_a_restore_is_over_when_every_step_of_it_is():
    status = change(restoring(half_done()), "restore-model", state="Succeeded")

    with pytest.raises(IllegalTransition, match="restore-features must be done"):
        machine.restored(status, at=NOW)


@pytest.mark.parametrize("way_out", ["resume", "abort"])
def test_a_restore_that_halted_goes_on_with_the_steps_it_has(way_out):
    status = restoring(halted_at(half_done(), MODEL), "Failed")
    status = halted_at(change(status, "restore-model", state="Running"), "restore-model")
    assert status.current_step == "halted: restore-model"

    status = machine.resume(status, at=NOW) if way_out == "resume" else restoring(status)

    assert phase_of(status) is Phase.RESTORING
    assert [s.name for s in status.steps if s.action == "Restore"] == ["restore-model", "restore-features"]
    assert (step(status, "restore-model").state, step(status, MODEL).state) == ("Pending", "Failed")
    assert status.restoring == ("Failed" if way_out == "resume" else "Aborted")


def test_superseded_half_way_says_what_stays_reverted():
    status = machine.superseded(half_done(), "model now holds v14, a newer deploy", at=NOW)

    complete = find_condition(status.conditions, "Complete")
    assert complete is not None
    assert (
        complete.message
        == "model now holds v14, a newer deploy. That is left alone; by then: Reverted: features. Half done: model."
    )


def test_left_as_it_is_says_how_it_is():
    status = machine.abandon(halted_at(half_done(), MODEL), "a person said Abort and Leave.", at=NOW)

    complete = find_condition(status.conditions, "Complete")
    assert complete is not None
    assert complete.message == "a person said Abort and Leave. Reverted: features. Half done: model."
    assert said(status, "Halted") == ("False", "RollbackAborted")


CURRENT = {
    "requested": (requested(), ""),
    "waiting": (machine.waits(requested(), "another is at work", at=NOW), "waiting"),
    "preflight": (in_preflight(), "preflight"),
    "a step that waits for its turn": (reverting(), MODEL),
    "a step that runs": (begun(reverting(*TWO), "revert-features"), "revert-features"),
    "validating": (validating(), "validate"),
    "halted in preflight": (halted_at(in_preflight(), ""), "halted: preflight"),
    "halted at a step": (halted_at(begun(reverting(), MODEL), MODEL), f"halted: {MODEL}"),
    "restoring": (restoring(half_done()), "restore-model"),
    "finished": (machine.validated(validating(), at=NOW), ""),
}


@pytest.mark.parametrize("case", CURRENT)
def test_the_step_column(case):
    status, shown = CURRENT[case]

    assert status.current_step == shown
    assert machine.describe_current(status) == shown


@pytest.mark.parametrize("result", OUTCOMES)
def test_each_result_is_told_by_the_event_of_its_name(result):
    reason = OUTCOMES[result].reason

    assert reason == f"Rollback{result}"
    assert EVENTS[reason].warning is (result != "Succeeded")
    assert "target" in EVENTS[reason].on


ENDS = {
    "Succeeded": PHASES[Phase.FINISHED],
    "Failed": lambda: machine.restored(restored_from("Failed"), at=NOW),
    "Superseded": lambda: FUNCTIONS[Cause.SUPERSEDED](half_done()),
    "Denied": lambda: FUNCTIONS[Cause.DENIED](requested()),
    "Aborted": lambda: machine.restored(restored_from("Aborted"), at=NOW),
    "Undone": lambda: machine.restored(
        change(FUNCTIONS[Cause.UNDO](PHASES[Phase.FINISHED]()), "restore-model", state="Succeeded"), at=NOW
    ),
}


def restored_from(ends_in):
    failed = halted_at(written(begun(reverting(), MODEL), MODEL), MODEL)
    return change(restoring(failed, ends_in), "restore-model", state="Succeeded")


@pytest.mark.parametrize("result", OUTCOMES)
def test_each_result_has_the_conditions_of_its_row(result):
    status = ENDS[result]()

    verdicts = {c.type: c.status for c in status.conditions}
    assert status.result == result
    for type_, allowed in OUTCOMES[result].conditions.items():
        assert verdicts.get(type_, "") in allowed, type_
    assert find_condition(status.conditions, "Complete").reason == OUTCOMES[result].reason


def test_only_validated_makes_the_condition_true_that_people_wait_for():
    assert is_true(machine.validated(validating(), at=NOW).conditions, "Validated")
    assert not is_true(validating().conditions, "Validated")
