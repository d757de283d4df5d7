"""Equal parts of many objects are one object, and nothing else of them changes."""

import pytest
from pydantic import ValidationError

from model_rollback.api.sharing import Newest
from model_rollback.api.v1alpha1 import RollbackPolicySpec, RollbackPolicyStatus
from model_rollback.api.v1alpha1.guards import Guards
from model_rollback.api.v1alpha1.meta import LocalRef


def spec(name, **changes):
    trigger = {
        "name": "accuracy",
        "query": "model_quality",
        "series": {"model": name},
        "breach": {"operator": "LessThan", "threshold": "0.90"},
    }
    body = {"modelDeploymentRef": {"name": name}, "triggers": [trigger], "guards": {"cooldown": "30m"}}
    return RollbackPolicySpec.model_validate({**body, **changes})


def test_policies_of_one_preset_share_all_but_what_is_their_own():
    one, other = spec("a"), spec("b")

    assert one.guards is other.guards
    assert one.triggers[0].breach is other.triggers[0].breach
    assert one.triggers[0] != other.triggers[0]
    assert one.model_deployment_ref != other.model_deployment_ref
    assert one.model_fields_set is other.model_fields_set, "half of the memory of a small model"


def test_conditions_that_say_the_same_are_one():
    said = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "lastTransitionTime": "2026-01-05T10:00:00Z",
    }
    one, other = (
        RollbackPolicyStatus.model_validate({"conditions": [{**said, "message": "evaluated"}]})
        for _ in range(2)
    )

    assert one.conditions[0] is other.conditions[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [({"cooldown": "30m"}, {"cooldown": "31m"}), ({"cooldown": "30m"}, {}), ({}, {"cooldown": "30m"})],
    ids=repr,
)
def test_parts_that_differ_stay_apart(one, other):
    assert Guards.model_validate(one) != Guards.model_validate(other) or one.keys() != other.keys()
    assert Guards.model_validate(one).model_fields_set == {"cooldown"} & one.keys()
    assert Guards.model_validate(other).model_fields_set == {"cooldown"} & other.keys()


def test_what_looks_equal_in_python_and_differs_in_json_stays_apart():
    """`1 == True` in Python; the API server takes one of them for a number and refuses the other."""
    assert spec("a", historyLimit=1).history_limit == 1
    with pytest.raises(ValidationError):
        spec("a", historyLimit=True)


def test_a_part_that_is_wrong_is_refused_each_time():
    for _ in range(2):
        with pytest.raises(ValidationError, match="cooldown"):
            spec("a", guards={"cooldown": "soon"})


def test_a_constructor_fills_its_own_instance():
    known = Guards.model_validate({"cooldown": "30m"})
    made = Guards(cooldown="30m")

    assert made is not known
    assert made == known
    assert made.model_fields_set == {"cooldown"}


def test_a_changed_copy_changes_no_other():
    one = LocalRef.model_validate({"name": "a"})
    guards = Guards.model_validate({})
    copy = guards.model_copy(update={"cooldown": Guards(cooldown="1m").cooldown})

    assert copy.model_fields_set == {"cooldown"}
    assert guards.model_fields_set == set()
    assert Guards.model_validate({}).model_fields_set == set()
    assert one.model_fields_set == {"name"}


def test_what_was_not_used_lately_is_forgotten():
    newest = Newest(10)
    newest.keep("hot", 0)
    for number in range(1000):
        newest.keep(number, number)
        assert newest.find("hot") == 0, "it is used all the time"

    assert newest.find(3) is None
    assert newest.find(999) == 999
    assert len(newest) <= 20
