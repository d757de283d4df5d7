"""A status is written without what says nothing, and read back as the same status."""

from datetime import UTC, datetime

import pytest

from model_rollback.api.v1alpha1 import ModelDeploymentStatus, RollbackPolicyStatus, RollbackStatus
from model_rollback.api.v1alpha1.rollback_record import PinRecord, Step, Timeline
from model_rollback.api.wire import written

NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
TEMPLATE = {"spec": {"containers": [{"name": "x", "image": "x:1", "args": ["", "0"], "env": []}]}}
PROCEDURE = {
    "stepTimeout": "1m",
    "onFailure": "Halt",
    "settle": "0s",
    "duration": "1m",
    "interval": "1s",
    "metricsSource": "default",
    "quarantine": "1h",
    "probes": [{"name": "ready", "readiness": {}}, {"name": "smoke", "job": {"template": TEMPLATE}}],
}


@pytest.mark.parametrize("status", [ModelDeploymentStatus, RollbackPolicyStatus, RollbackStatus])
def test_nothing_observed_says_nothing(status):
    told = written(status())

    assert all(value not in ("", [], {}) for value in told.values())
    assert status.model_validate(told) == status()


def test_what_is_empty_by_itself_is_left_out_at_any_depth():
    step = Step(name="revert-model", action="Revert", component="model")

    told = written(RollbackStatus(steps=(step,), timeline=Timeline(breached_at=NOW)))

    (shown,) = told["steps"]
    assert set(shown) == {"name", "action", "component", "attempt", "repeats", "state"}
    assert told["timeline"] == {"breachedAt": "2026-01-05T10:00:00.000Z"}


def test_what_must_be_there_is_written_though_it_is_empty():
    step = Step(name="s", action="Revert", was_ready=False, before=(PinRecord(pin="env", value=""),))

    told = written(RollbackStatus(steps=(step,)))

    assert told["steps"][0]["before"] == [{"pin": "env", "value": ""}]
    assert told["steps"][0]["wasReady"] is False


def test_a_procedure_keeps_its_words_and_what_people_wrote():
    status = RollbackStatus.model_validate({"procedure": PROCEDURE})

    told = written(status)["procedure"]

    assert RollbackStatus.model_validate({"procedure": told}) == status
    assert [told["settle"], told["onFailure"], told["target"]["strategy"]] == ["0s", "Halt", "LastVerified"]
    assert told["probes"][0] == {"name": "ready", "readiness": {}}
    assert told["probes"][1]["job"]["template"] == TEMPLATE
    assert "fallbacks" not in told["target"]
