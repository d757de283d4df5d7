"""What a rollback leaves as it is: fields beside the pins and what pods use, written since the bad version appeared."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from model_rollback.core.leftovers import appeared_at, beside, of_reference, of_target
from tests.unit.core.test_authorship import IMAGE, SERVER, T1, T2, TEMPLATE, entry, pod

BAD_SINCE = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
BEFORE = "2026-01-05T09:00:00Z"


def deployment(*managed):
    return {
        "kind": "Deployment",
        "metadata": {"name": "recommender", "managedFields": list(managed)},
    }


DEPLOY = pod({SERVER: {".": {}, "f:image": {}, "f:resources": {"f:limits": {"f:cpu": {}}}}})
SCALE = {"f:spec": {"f:replicas": {}}, "f:metadata": {"f:labels": {"f:team": {}}}}
CASES = {
    "a field beside the image": (
        IMAGE,
        entry("ci", DEPLOY),
        ["spec.template.spec.containers[name=server].resources.limits.cpu"],
    ),
    "the same, all of it in the template that goes back": (TEMPLATE, entry("ci", DEPLOY), []),
    "replicas, and no metadata": (TEMPLATE, entry("kubectl-edit", SCALE), ["spec.replicas"]),
    "before the bad version": (TEMPLATE, entry("kubectl-edit", SCALE, BEFORE), []),
    "a controller of Kubernetes": (TEMPLATE, entry("kube-controller-manager", SCALE), []),
    "ourselves": (TEMPLATE, entry("model-rollback-operator", SCALE), []),
    "a status": (TEMPLATE, entry("x", {"f:status": {"f:replicas": {}}}), []),
    "a scale subresource": (TEMPLATE, entry("kubectl", SCALE, subresource="scale"), []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_target_holds_beside_its_version(case):
    kind, managed, fields = CASES[case]

    found = of_target(kind, deployment(managed), BAD_SINCE)

    assert [f for one in found for f in one.fields] == fields


def with_spec(spec, *managed):
    return {**deployment(*managed), "spec": spec}


def template(cpu, **more):
    server = {
        "name": "server",
        "image": "shop/recommender:v13",
        "resources": {"limits": {"cpu": cpu}},
        **more,
    }
    return {"template": {"spec": {"containers": [{"name": "sidecar"}, server]}}}


def test_what_is_as_it_was_when_the_version_was_recorded_is_not_listed():
    owned = pod({SERVER: {"f:image": {}, "f:resources": {"f:limits": {"f:cpu": {}}}, "f:args": {}}})
    owned["f:spec"] |= {"f:replicas": {}, "f:paused": {}}
    before = with_spec({"replicas": 2, **template("1", args=["--fast"])}, entry("ci", owned, BEFORE))
    now = with_spec({"replicas": 2, "paused": False, **template("4", args=["--fast"])}, entry("ci", owned))

    (told,) = of_target(IMAGE, now, BAD_SINCE, beside(IMAGE, before))

    assert told.fields == (
        "spec.template.spec.containers[name=server].resources.limits.cpu",
        "spec.paused",
    )
    assert of_target(IMAGE, before | {"metadata": now["metadata"]}, BAD_SINCE, beside(IMAGE, before)) == []


def test_nothing_of_a_secret_stands_beside_its_version():
    secret = {"kind": "Secret", "metadata": {"managedFields": [entry("vim", {"f:data": {"f:x": {}}})]}}

    assert beside(replace(IMAGE, confidential=True), secret) == {}


def test_who_and_when_are_told():
    (one,) = of_target(TEMPLATE, deployment(entry("kubectl-edit", SCALE, T2)), BAD_SINCE)

    assert (one.object, one.manager, one.at) == (
        "Deployment recommender",
        "kubectl-edit",
        BAD_SINCE + timedelta(hours=1),
    )


def test_a_config_map_that_was_edited_since():
    flags = {
        "kind": "ConfigMap",
        "metadata": {"name": "flags", "managedFields": [entry("vim", {"f:data": {"f:x": {}}}, T2)]},
    }

    assert [(one.object, one.fields) for one in of_reference(flags, BAD_SINCE)] == [
        ("ConfigMap flags", ("data.x",))
    ]
    assert of_reference(flags, BAD_SINCE + timedelta(hours=2)) == []


def test_the_bad_version_appeared_when_it_was_written_or_noticed_whatever_is_earlier():
    """`managedFields` know whole seconds, and we notice milliseconds later; a restart may notice hours later."""
    written = deployment(entry("ci", DEPLOY, T1))
    later = BAD_SINCE + timedelta(hours=3)

    assert appeared_at([(IMAGE, written)], later) == BAD_SINCE
    assert appeared_at([(IMAGE, written)], BAD_SINCE - timedelta(minutes=5)) == BAD_SINCE - timedelta(
        minutes=5
    )
    assert appeared_at([], BAD_SINCE + timedelta(milliseconds=300)) == BAD_SINCE
    assert appeared_at([(IMAGE, deployment())], None) is None


def test_the_lists_are_bounded():
    many = {"f:spec": {f"f:field{n}": {} for n in range(100)}}

    (one,) = of_target(TEMPLATE, deployment(entry("ci", many)), BAD_SINCE)

    assert len(one.fields) == 20
