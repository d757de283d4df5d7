"""Nothing is written before the dry run: while the condition Planned is not True, no step may move."""

import pytest

from model_rollback.api.v1alpha1.rollback_record import RollbackStatus
from model_rollback.core import machine
from model_rollback.core.machine import IllegalTransition, Phase, phase_of
from tests.unit.core.builders import NOW, make_procedure, way


def test_a_plan_whose_dry_run_has_not_passed_is_in_preflight_and_its_steps_stand_still():
    status = RollbackStatus(procedure=make_procedure(), steps=way("model"))

    assert phase_of(status) is Phase.PREFLIGHT
    with pytest.raises(IllegalTransition):
        machine.change_step(status, "revert-model", at=NOW, state="Running")
