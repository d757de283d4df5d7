"""The example's manifests fit the API, the server and each other."""

import copy
from pathlib import Path

import pytest

from model_rollback.api.v1alpha1 import ModelDeployment, RollbackPolicy
from tests.examples.asking import accuracies, documents, health, send

DEPLOY = Path(__file__).parents[2] / "examples" / "model-server" / "deploy"


def load(name: str) -> dict[str, dict]:
    return {document["kind"]: document for document in documents(DEPLOY / name)}


@pytest.fixture
def policy() -> RollbackPolicy:
    return RollbackPolicy.model_validate(load("policy.yaml")["RollbackPolicy"])


def test_the_policy_is_valid_and_names_what_there_is(policy):
    model_deployment = ModelDeployment.model_validate(load("policy.yaml")["ModelDeployment"])

    assert policy.spec.model_deployment_ref.name == model_deployment.metadata.name
    target = model_deployment.spec.components[0].target_ref
    deployment = load("recommender-v12.yaml")["Deployment"]
    assert (target.api_version, target.kind, target.name) == (
        deployment["apiVersion"],
        deployment["kind"],
        deployment["metadata"]["name"],
    )


def test_the_http_probe_asks_the_service_at_a_path_that_the_server_answers(policy, start):
    service = load("recommender-v12.yaml")["Service"]
    probe = next(probe.http for probe in policy.spec.validation.probes if probe.http)

    assert probe.service == service["metadata"]["name"]
    assert probe.port in {port["port"] for port in service["spec"]["ports"]}
    assert probe.path == "/v1/health"
    _, url = start("v12")
    status, answer = health(url)
    assert status == probe.expect_status
    assert answer[probe.expect_version.json_path.removeprefix("$.")] == "v12"


def test_the_threshold_lies_between_the_two_models(policy, start, held_out):
    exported = {}
    for version in ("v12", "v13"):
        _, url = start(version)
        send(url, held_out, count=200)
        exported |= accuracies(url)

    assert exported["v13"] < float(policy.spec.triggers[0].breach.threshold) < exported["v12"]


def test_v13_changes_the_image_and_the_version_label_and_nothing_else():
    old, new = load("recommender-v12.yaml")["Deployment"], load("recommender-v13.yaml")["Deployment"]
    expected = copy.deepcopy(old)
    expected["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"] = "v13"
    expected["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/recommender:v13"

    assert old != new == expected


def test_the_service_selects_the_pods_of_both_releases():
    selector = load("recommender-v12.yaml")["Service"]["spec"]["selector"]
    for name in ("recommender-v12.yaml", "recommender-v13.yaml"):
        labels = load(name)["Deployment"]["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items()
