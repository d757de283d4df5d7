"""What a Secret holds shows itself by a digest, and cannot be written down by accident."""

import json

import pytest

from model_rollback.core.confidential import Confidential
from model_rollback.core.kinds import type_of
from model_rollback.core.pins import build_patch, digest, read, show, show_all
from tests.unit.core.builders import make_component

PASSWORD = "Y29ycmVjdCBob3JzZQ=="
TARGET = {"apiVersion": "v1", "kind": "Secret", "name": "api-key"}


def secret(password=PASSWORD, namespace="shop"):
    metadata = {"name": "api-key", "namespace": namespace, "uid": "u"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": password}}


def kind(**component):
    return type_of(make_component(targetRef=TARGET, preset=None, container=None, **component))


KINDS = {
    "all keys": kind(),
    "one key": kind(pins=[{"name": "password", "path": "data.password"}]),
    "an annotation that repeats it": kind(pins=[{"name": "meta", "path": "data"}]),
}


@pytest.mark.parametrize("case", KINDS)
def test_its_value_is_shown_by_a_digest_only(case):
    values = read(KINDS[case], secret())

    (shown,) = show_all(values).values()
    assert shown.startswith("hidden:")
    assert len(shown) == 71
    for text in (shown, repr(values), str(values), f"{next(iter(values.values()))}"):
        assert PASSWORD not in text
    with pytest.raises(TypeError):
        json.dumps(values)
    with pytest.raises(TypeError):
        digest(values)


def test_equal_values_are_equal_and_different_ones_differ():
    assert show_all(read(kind(), secret())) == show_all(read(kind(), secret()))
    assert show_all(read(kind(), secret())) != show_all(read(kind(), secret("other")))
    assert show_all(read(kind(), secret())) != show_all(read(kind(), secret(namespace="other")))
    assert show(Confidential(None, "a/b")) != show(Confidential("", "a/b"))
    assert show("hidden:0") != "hidden:0"


def test_a_patch_writes_what_was_kept():
    wanted = {"data": Confidential({"password": "b2xk"}, "shop/api-key")}

    operations = build_patch(kind(), secret(), wanted, "r/s/1")

    assert {"op": "replace", "path": "/data", "value": {"password": "b2xk"}} in operations
    assert {"op": "test", "path": "/data", "value": {"password": PASSWORD}} in operations
