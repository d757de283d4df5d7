"""Who wrote the pinned fields, from `managedFields` as an API server writes them."""

from datetime import UTC, datetime

import pytest

from model_rollback.core.authorship import authors, join
from model_rollback.core.kinds import type_of
from tests.unit.core.builders import make_component

SERVER = 'k:{"name":"server"}'
T1, T2 = "2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z"


def entry(manager, fields, at=T1, **more):
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": at,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def pod(fields):
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": fields}}}}


def template(fields):
    return {"f:spec": {"f:template": fields}}


def restarted(**more):
    names = {"f:kubectl.kubernetes.io/restartedAt": {}, **{f"f:{name}": {} for name in more}}
    return template({"f:metadata": {"f:annotations": {".": {}, **names}}})


IMAGE = type_of(make_component())
TEMPLATE = type_of(make_component(preset="PodTemplate", container=None))
EXPLICIT = type_of(
    make_component(
        preset=None,
        container=None,
        pins=[
            {"name": "model", "path": 'spec.template.metadata.annotations["shop/model"]'},
            {"name": "flag", "path": "spec.template.spec.containers[name=server].args[1]"},
            {"name": "rate", "path": "data.settings|yaml.rate"},
        ],
    )
)
OWNED = {
    "the image of the container": (IMAGE, pod({SERVER: {".": {}, "f:image": {}}}), True),
    "another field of the container": (IMAGE, pod({SERVER: {"f:resources": {}}}), False),
    "the image of another container": (IMAGE, pod({'k:{"name":"proxy"}': {"f:image": {}}}), False),
    "a key that is no JSON": (IMAGE, pod({"k:{server": {"f:image": {}}}), False),
    "an element with two keys": (IMAGE, pod({'k:{"name":"server","x":1}': {"f:image": {}}}), True),
    "the number of replicas": (IMAGE, {"f:spec": {"f:replicas": {}}}, False),
    "something of the template": (TEMPLATE, pod({SERVER: {"f:env": {}}}), True),
    "only a restart": (TEMPLATE, restarted(), False),
    "a restart and more": (TEMPLATE, restarted(team="x"), True),
    "nothing of the template": (TEMPLATE, {"f:spec": {"f:replicas": {}}}, False),
    "an annotation": (EXPLICIT, template({"f:metadata": {"f:annotations": {"f:shop/model": {}}}}), True),
    "a list that is owned as a whole": (EXPLICIT, pod({SERVER: {"f:args": {}}}), True),
    "the text with the document": (EXPLICIT, {"f:data": {"f:settings": {}}}, True),
    "another text": (EXPLICIT, {"f:data": {"f:other": {}}}, False),
    "nothing": (IMAGE, {}, False),
}


@pytest.mark.parametrize("case", OWNED)
def test_whether_a_manager_wrote_a_pinned_field(case):
    kind, fields, owns = OWNED[case]

    found = authors(kind, {"metadata": {"managedFields": [entry("ci", fields)]}})

    assert [a.manager for a in found] == (["ci"] if owns else [])


def test_each_manager_stands_once_with_its_newest_time_and_the_newest_first():
    image = pod({SERVER: {"f:image": {}}})
    obj = {
        "metadata": {
            "managedFields": [
                entry("kubectl", image, T1),
                entry("ci", image, T1),
                entry("kubectl", image, T2, operation="Apply"),
                entry("kube-controller-manager", image, T2, subresource="status"),
            ]
        }
    }

    found = authors(IMAGE, obj)

    assert [(a.manager, a.at) for a in found] == [
        ("kubectl", datetime(2026, 1, 5, 11, tzinfo=UTC)),
        ("ci", datetime(2026, 1, 5, 10, tzinfo=UTC)),
    ]
    assert join([*found, *found]) == found


@pytest.mark.parametrize(
    "odd",
    [{}, {"managedFields": None}, {"managedFields": [{}]}, {"managedFields": [{"manager": "x", "time": T1}]}],
)
def test_an_object_that_says_nothing_has_no_author(odd):
    assert authors(IMAGE, {"metadata": odd}) == []
