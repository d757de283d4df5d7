"""Restarting who reads a component: stamped once, whatever is repeated."""

import copy
from datetime import UTC, datetime, timedelta

import jsonpatch
import pytest

from model_rollback.api.group import ANNOTATION_RESTARTED_AT, ANNOTATION_RESTARTED_BY
from model_rollback.core.kinds import type_of
from model_rollback.core.pins import read, show_all
from model_rollback.core.restart import build_restart, restarted_since
from tests.unit.core.builders import NOW, deployment, make_component
from tests.unit.core.test_pins import apply

BY = "r/revert-config/3"


def reader(metadata):
    obj = deployment()
    obj["spec"]["template"].pop("metadata")
    if metadata is not None:
        obj["spec"]["template"]["metadata"] = metadata
    return obj


TEMPLATES = {
    "no metadata": None,
    "no annotations": {"labels": {"app": "model"}},
    "annotations of others": {"annotations": {"team.example/owner": "ml"}},
    "an older restart": {"annotations": {ANNOTATION_RESTARTED_AT: "2025-12-24T10:00:00Z"}},
}


@pytest.mark.parametrize("case", TEMPLATES)
def test_a_restart_stamps_the_pod_template_and_is_no_new_version(case):
    obj = reader(copy.deepcopy(TEMPLATES[case]))
    operations = build_restart(obj, NOW, BY)

    after = apply(operations, obj)

    annotations = after["spec"]["template"]["metadata"]["annotations"]
    assert annotations[ANNOTATION_RESTARTED_AT] == "2026-01-05T10:00:00.000Z"
    assert annotations[ANNOTATION_RESTARTED_BY] == BY
    assert restarted_since(after, NOW)
    assert not restarted_since(obj, NOW)
    kind = type_of(make_component(preset=None, container=None))
    assert show_all(read(kind, after)) == show_all(read(kind, reader(TEMPLATES[case] or {})))


def test_a_restart_by_somebody_else_in_between_is_met():
    obj = reader(TEMPLATES["an older restart"])
    operations = build_restart(obj, NOW, BY)
    obj["spec"]["template"]["metadata"] = {"annotations": {ANNOTATION_RESTARTED_AT: "2026-01-05T10:00:01Z"}}

    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        apply(operations, obj)
    assert restarted_since(obj, NOW)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2026-01-05T10:00:00Z", True),
        ("2026-01-05T11:00:00+01:00", True),
        ("2026-01-05T09:59:59Z", False),
        ("2026-01-05T10:00:00", False),
        ("yesterday", False),
        ("", False),
        (None, False),
    ],
)
def test_since_when(text, since):
    obj = reader({"annotations": {ANNOTATION_RESTARTED_AT: text}})

    assert restarted_since(obj, NOW + timedelta(milliseconds=400)) is since
    assert not restarted_since(obj, datetime(2027, 1, 1, tzinfo=UTC))
