"""Steps side by side, and one target after another: what may begin, what is let finish, what is put back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.api.conditions import find_condition
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.core import machine
from model_rollback.core.machine import Phase, phase_of
from tests.unit.core.builders import (
    NOW,
    begun,
    done,
    make_component,
    next_target,
    reverting,
    step,
    validating,
    written,
)
from tests.unit.core.strategies import component_graphs

DIAMOND = (
    make_component("config"),
    make_component("left", dependsOn=["config"]),
    make_component("right", dependsOn=["config"]),
    make_component("api", dependsOn=["left", "right"]),
)


def startable(status):
    return [s.name for s in machine.startable(machine.work_steps(status))]


def finish(status, name):
    return done(written(begun(status, name), name), name)


def test_branches_run_side_by_side_and_join():
    status = reverting(*DIAMOND)
    assert startable(status) == ["revert-config"]
    status = finish(status, "revert-config")
    assert startable(status) == ["revert-left", "revert-right"]
    status = begun(status, "revert-left")
    assert startable(status) == ["revert-left", "revert-right"]
    status = finish(begun(status, "revert-right"), "revert-right")
    assert startable(status) == ["revert-left"]
    status = done(written(status, "revert-left"), "revert-left")
    assert startable(status) == ["revert-api"]


def test_what_was_there_already_holds_nobody_up():
    status = machine.change_step(
        begun(reverting(*DIAMOND), "revert-config"), "revert-config", at=NOW, state="Skipped"
    )

    assert startable(status) == ["revert-left", "revert-right"]


def test_after_a_failure_nothing_begins_and_what_runs_is_let_finish():
    status = reverting("a", "b", "c")
    status = written(begun(begun(status, "revert-a"), "revert-b"), "revert-b")
    status = machine.change_step(status, "revert-a", at=NOW, state="Failed", reason=Reason.STEP_TIMED_OUT)

    assert phase_of(status) is Phase.REVERTING
    assert startable(status) == ["revert-b"]
    assert startable(done(status, "revert-b")) == []


def test_the_step_column_names_two_of_many():
    status = reverting("a", "b", "c")
    for name in ("revert-a", "revert-b", "revert-c"):
        status = begun(status, name)

    assert status.current_step == "revert-a, revert-b and 1 more"


@given(component_graphs(), st.data())
def test_no_order_of_events_starts_a_step_before_its_dependencies_are_done(components, data):
    status = reverting(*components)
    depends_on = {s.name: set(s.depends_on) for s in status.steps}
    finished: set[str] = set()
    while phase_of(status) is Phase.REVERTING:
        name = data.draw(st.sampled_from(startable(status)))
        assert depends_on[name] <= finished
        status = begun(status, name) if step(status, name).state == "Pending" else done(status, name)
        if step(status, name).state == "Succeeded":
            finished.add(name)
    assert finished == {s.name for s in status.steps if s.action == "Revert"}


def test_a_restore_runs_against_the_arrows():
    status = reverting(*DIAMOND)
    for component in DIAMOND:
        status = finish(status, f"revert-{component.name}")

    status = machine.begin_restore(status, "Aborted", "a person said Abort", at=NOW)

    assert startable(status) == ["restore-api"]
    status = done(written(status, "restore-api"), "restore-api")
    assert set(startable(status)) == {"restore-left", "restore-right"}
    status = done(done(status, "restore-left"), "restore-right")
    assert startable(status) == ["restore-config"]


# --- one target after another -------------------------------------------------------------------------------------


def test_the_next_target_begins_with_its_own_dry_run():
    status = next_target(validating("features", "model"), "features", "model")

    assert phase_of(status) is Phase.PREFLIGHT
    assert (status.to_version, status.passing_since, status.validation) == ("v11", None, ())
    assert [(s.name, s.state) for s in status.steps] == [
        ("revert-features", "Succeeded"),
        ("revert-model", "Succeeded"),
        ("validate", "Failed"),
        ("revert-features-2", "Pending"),
        ("revert-model-2", "Pending"),
        ("validate-2", "Pending"),
    ]
    validated = find_condition(status.conditions, "Validated")
    assert validated is not None
    assert (validated.status, validated.reason) == ("False", "ValidationFailed")
    assert "v12: answers: v9; v11 is next" in validated.message
    assert [t.version for t in machine.tried(status)] == ["v12", "v11"]


def on_the_second_way():
    """v11 is put back after v12: `features` is done, `model` waits for its turn."""
    status = machine.preflight_passed(
        next_target(validating("features", "model"), "features", "model"), at=NOW
    )
    return finish(status, "revert-features-2")


def test_the_second_target_succeeds_by_its_own_validation_only():
    status = finish(on_the_second_way(), "revert-model-2")
    assert phase_of(status) is Phase.VALIDATING

    status = machine.validated(machine.probed(status, passing_since=NOW), at=NOW)

    assert (status.result, step(status, "validate").state) == ("Succeeded", "Failed")
    assert step(status, "validate-2").state == "Succeeded"
    complete = find_condition(status.conditions, "Complete")
    assert complete is not None
    assert complete.message == "v11 is back and validated"


def test_a_restore_goes_from_the_last_target_straight_to_what_was_before_the_first():
    status = machine.begin_restore(on_the_second_way(), "Aborted", "a person said Abort", at=NOW)

    restores = {s.component: s for s in status.steps if s.action == "Restore"}
    assert restores["features"].before == step(status, "revert-features-2").after
    assert restores["model"].before == step(status, "revert-model").after
    assert {s.after for s in restores.values()} == {step(status, "revert-model").before}


def test_halted_says_which_components_are_at_an_earlier_target():
    status = machine.halt(on_the_second_way(), "revert-model-2", Reason.FORBIDDEN, "may not patch", at=NOW)

    halted = find_condition(status.conditions, "Halted")
    assert halted is not None
    assert "Reverted: features. At an earlier target: model." in halted.message


def test_resume_does_not_repeat_the_validation_of_a_target_that_was_given_up():
    status = machine.halt(on_the_second_way(), "revert-model-2", Reason.FORBIDDEN, "may not patch", at=NOW)

    status = machine.resume(status, at=NOW)

    assert (step(status, "validate").state, step(status, "revert-model-2").state) == ("Failed", "Pending")


@pytest.mark.parametrize("state", ["Skipped", "Succeeded"])
def test_a_next_target_that_others_had_put_there_is_superseded(state):
    status = machine.preflight_passed(next_target(validating()), at=NOW)

    status = machine.change_step(
        begun(status, "revert-model-2"), "revert-model-2", at=NOW, state=state, finished_at=NOW
    )

    assert status.result == ("Superseded" if state == "Skipped" else "")


def test_a_restore_runs_backwards_through_the_jobs_of_a_written_procedure():
    job = Step(name="warm", action="Job", depends_on=("revert-a",))
    first, second = (step(reverting("a", "b"), f"revert-{c}") for c in "ab")
    validate = Step(name="validate", action="Validate", depends_on=("revert-b",))
    steps = (first, job, second.model_copy(update={"depends_on": ("warm",)}), validate)
    status = reverting().model_copy(update={"steps": steps})
    status = finish(
        machine.change_step(finish(status, "revert-a"), "warm", at=NOW, state="Succeeded"), "revert-b"
    )

    status = machine.begin_restore(status, "Aborted", "a person said Abort", at=NOW)

    assert startable(status) == ["restore-b"]
