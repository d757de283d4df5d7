"""Which artifacts are objects that can be asked about, and how a record shows the others."""

import pytest

from model_rollback.core.artifacts import Place, artifacts_of, place_of, shown
from model_rollback.core.candidates import find
from model_rollback.core.references import Reference
from tests.unit.core.builders import declared, make_status, make_system, recorded

PLACES = {
    "pvc://models/12/model.onnx": Place(Reference("PersistentVolumeClaim", "models")),
    "pvc://models": Place(Reference("PersistentVolumeClaim", "models")),
    "configmap://thresholds": Place(Reference("ConfigMap", "thresholds")),
    "configmap://thresholds/v12.yaml": Place(Reference("ConfigMap", "thresholds"), "v12.yaml"),
    "secret://token/key": Place(Reference("Secret", "token"), "key"),
    "s3://bucket/12": None,
    "models:/recommender/12": None,
    "oci://registry.example/recommender@sha256:9a0e": None,
    "git+https://git.example/shop/recommender@9a2b1c": None,
    "configmap:thresholds": None,
    "configmap://../secrets": None,
}


@pytest.mark.parametrize("uri", PLACES)
def test_where_the_api_server_can_be_asked(uri):
    assert place_of(uri) == PLACES[uri]


SHOWN = {
    "models:/recommender/12": "models:/recommender/12",
    "https://ann:hunter2@git.example/a": "https://git.example/a",
    "git+https://git.example/shop/r@9a2b1c": "git+https://git.example/shop/r@9a2b1c",
    "s3://models/12?X-Amz-Signature=f00d": "s3://models/12?…",
    "oci://registry.example/r@sha256:9a0e": "oci://registry.example/r@sha256:9a0e",
}


@pytest.mark.parametrize("uri", SHOWN)
def test_a_record_shows_no_secret_of_a_link(uri):
    assert shown(uri) == SHOWN[uri]


OF = {
    "the declared version of its name": ("shop/recommender:v12", ["models:/12"]),
    "the same by digest": ("shop/recommender:v12@sha256:" + "a" * 64, ["models:/12"]),
    "another image has its name now": ("shop/recommender:v11", []),
}


@pytest.mark.parametrize("case", OF)
def test_a_version_has_the_artifacts_that_were_declared_for_its_values(case):
    image, expected = OF[case]
    spec = make_system(versions=[declared("v12") | {"artifacts": [{"type": "Model", "uri": "models:/12"}]}])
    status = make_status("v13", recorded("v12", {"model": {"image": image}}))
    candidate = find("v12", "", spec, status)

    assert candidate is not None
    assert [a.uri for a in artifacts_of(candidate, spec)] == expected
