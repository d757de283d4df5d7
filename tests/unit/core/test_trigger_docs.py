"""The triggers shown in the docs are triggers that the operator takes."""

import re
from pathlib import Path

import pytest
import yaml

from model_rollback.api.v1alpha1 import RollbackPolicySpec
from model_rollback.core.presets import resolve_policy

PAGE = Path(__file__).resolve().parents[3] / "docs/how-to/write-a-trigger.md"
SHOWN = [
    yaml.safe_load(block) for block in re.findall(r"\n\n((?:    .+\n)+)", PAGE.read_text(encoding="utf-8"))
]


def test_there_are_triggers_to_check():
    assert len(SHOWN) == 7


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: str(shown["name"]))
def test_a_trigger_that_is_shown_can_be_used(shown):
    spec = {"modelDeploymentRef": {"name": "recommender"}, "triggers": [shown]}

    assert resolve_policy(RollbackPolicySpec.model_validate(spec)).triggers[0].query
