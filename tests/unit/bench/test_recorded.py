"""Which writes of a storm are sent again for its floor."""

import pytest
from bench.recorded import Write, script

from tests.support.audit import AuditEvent

STATUS = "/apis/modelrollback.dev/v1alpha1/namespaces/bench/modeldeployments/model-00001/status"
ROLLBACKS = "/apis/modelrollback.dev/v1alpha1/namespaces/bench/rollbacks"
TARGET = "/apis/apps/v1/namespaces/bench/deployments/model-00001"


def event(verb, uri, sent=None, resource="modeldeployments"):
    return AuditEvent.of(
        {
            "user": {"username": "operator"},
            "verb": verb,
            "requestURI": uri,
            "objectRef": {"resource": resource},
            "requestObject": sent,
        }
    )


LOCK = event(
    "patch",
    STATUS,
    [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/status", "value": {"lock": "model-00001-x"}},
    ],
)
ROLLBACK = event("create", ROLLBACKS, {"metadata": {"name": "model-00001-x"}}, "rollbacks")
PATCH = event("patch", TARGET, [{"op": "add", "path": "/spec", "value": 1}], "deployments")


def test_the_writes_of_one_system_up_to_its_patch_in_their_order():
    events = [
        LOCK,
        event("get", TARGET),
        event("patch", STATUS.replace("1/", "2/"), []),
        ROLLBACK,
        event("create", "/events", {"regarding": "model-00001"}, "events"),
        PATCH,
        event("patch", STATUS, []),
    ]

    assert [(w.method, w.uri) for w in script(events, "model-00001", PATCH)] == [
        ("PATCH", STATUS),
        ("POST", ROLLBACKS),
        ("PATCH", TARGET),
    ]


def test_what_no_other_object_has_is_left_out():
    (lock,) = script([LOCK], "model-00001", LOCK)

    assert lock.body == '[{"op": "add", "path": "/status", "value": {"lock": "model-00001-x"}}]'


def test_a_write_of_another_system_has_its_name_everywhere():
    assert Write("POST", "/model-00001", '{"name": "model-00001-x"}').of(
        "model-00001", "model-00002"
    ) == Write("POST", "/model-00002", '{"name": "model-00002-x"}')


def test_a_request_that_is_not_there_has_no_script():
    with pytest.raises(ValueError, match="not among the events"):
        script([LOCK], "model-00001", PATCH)
