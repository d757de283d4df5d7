"""The manifests of scenarios: one Deployment with a version, and the smallest pair around it with short durations."""

import copy
import json
from typing import Any

Manifest = dict[str, Any]

QUERY = 'model_quality{metric="accuracy",namespace="%s"}'


def image_of(version: str, name: str = "recommender") -> str:
    """What a version is called in a registry."""
    return f"registry.example/{name}:{version}"


def deployment(
    version: str, *, name: str = "recommender", image: str = "", annotations: dict[str, str] | None = None
) -> Manifest:
    """Two replicas of a version; an image with `broken` in its name never gets ready in the local cluster."""
    template: Manifest = {
        "metadata": {
            "labels": {"app": name, "app.kubernetes.io/version": version},
            "annotations": annotations or {},
        },
        "spec": {"containers": [{"name": "server", "image": image or image_of(version, name)}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def as_json(value: Any) -> str:
    """For `kubectl patch`."""
    return json.dumps(value)


def model_deployment(name: str = "recommender", **versioning: str) -> Manifest:
    """The smallest ModelDeployment; recorded after 1 s, Verified after 2 s of healthy metrics."""
    return {
        "apiVersion": "modelrollback.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {
            "components": [
                {"name": "model", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}
            ],
            "versioning": {"stabilizeFor": "1s", "verifiedAfter": "2s", **versioning},
        },
    }


def image_pinned(image: str) -> Manifest:
    """Only the image is the version; v12 is declared Verified with `image`, whatever that does when it runs."""
    manifest = model_deployment()
    component = manifest["spec"]["components"][0]
    component |= {"preset": "ContainerImage", "container": "server"}
    values = [{"component": "model", "pin": "image", "value": image}]
    manifest["spec"]["versions"] = [{"name": "v12", "safe": "Verified", "values": values}]
    return manifest


def manual(name: str, **spec: Any) -> Manifest:
    """A rollback that Ann wants."""
    body: Manifest = {
        "modelDeploymentRef": {"name": "recommender"},
        "policyRef": {"name": "recommender"},
        "type": "Manual",
        "reason": "users complain",
        "requestedBy": {"kind": "User", "name": "ann@shop.example"},
    }
    return {
        "apiVersion": "modelrollback.dev/v1alpha1",
        "kind": "Rollback",
        "metadata": {"name": name},
        "spec": body | spec,
    }


def policy(namespace: str, name: str = "recommender", **spec: Any) -> Manifest:
    """Accuracy below 0.90 for 2 s; every duration short. `spec` replaces top-level fields."""
    body: Manifest = {
        "modelDeploymentRef": {"name": "recommender"},
        "interval": "1s",
        "triggers": [
            {
                "name": "accuracy",
                "query": QUERY % namespace,
                "breach": {"operator": "LessThan", "threshold": "0.90"},
                "for": "2s",
            }
        ],
        "validation": {"settle": "1s", "duration": "2s"},
        "execution": {"stepTimeout": "30s"},
    }
    return {
        "apiVersion": "modelrollback.dev/v1alpha1",
        "kind": "RollbackPolicy",
        "metadata": {"name": name},
        "spec": copy.deepcopy(body | spec),
    }
