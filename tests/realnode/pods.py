"""The images, the manifests and the installed operator of the tests on a real node."""

import copy
from dataclasses import dataclass
from typing import Any

import requests

from tests.scenario import systems
from tests.scenario.world import World
from tests.support.commands import Kubectl

OPERATOR_IMAGE = "localhost/model-rollback-operator:realnode"
PORT = 8080
BOUNDARIES = {"v12": "0.5", "v13": "0.9"}
"""The one parameter of each version of the model; 0.5 is right."""


def model_image(version: str) -> str:
    """What a version of the model is called on the node."""
    return f"localhost/recommender:{version}"


def pulled_image(version: str) -> str:
    """What it is called before it is put into a registry; the node does not have it."""
    return f"localhost/pulled:{version}"


def build_options(version: str, origin: str) -> tuple[str, ...]:
    """Options of hack/image/build for a version of the model."""
    values = {"MODEL_VERSION": version, "MODEL_BOUNDARY": BOUNDARIES[version], "MODEL_ORIGIN": origin}
    return (
        "--context",
        "tests/realnode/model",
        *(word for name, value in values.items() for word in ("--build-arg", f"{name}={value}")),
    )


LOADED = {OPERATOR_IMAGE: (), **{model_image(v): build_options(v, "loaded") for v in BOUNDARIES}}
"""Everything that is put on the node, with the options that build it."""

IMAGES = {**LOADED, **{pulled_image(v): build_options(v, "pulled") for v in BOUNDARIES}}
"""Everything that runs on the node."""

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "recommender"},
    "spec": {"selector": {"app": "recommender"}, "ports": [{"port": PORT}]},
}


def deployment(version: str) -> systems.Manifest:
    """Two replicas of that version's image, ready when they answer."""
    manifest = systems.deployment(version, image=model_image(version))
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {
        "imagePullPolicy": "Never",
        "ports": [{"containerPort": PORT}],
        # Until every proxy has taken the pod out, new connections still come to it.
        "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
        "readinessProbe": {"httpGet": {"path": "/version", "port": PORT}, "periodSeconds": 1},
        "securityContext": copy.deepcopy(RESTRICTED),
    }
    return manifest


def policy(namespace: str) -> systems.Manifest:
    """The policy of the scenarios; validation also asks the Service which version answers."""
    http = {
        "service": "recommender",
        "port": PORT,
        "path": "/version",
        "expectVersion": {"jsonPath": "$.version"},
    }
    probes = [{"name": "pods", "readiness": {}}, {"name": "answers", "http": http}]
    return systems.policy(namespace, validation={"settle": "1s", "duration": "3s", "probes": probes})


@dataclass(frozen=True)
class Node:
    """The cluster as `localcluster env --json` describes it."""

    name: str
    about: dict[str, str]

    @property
    def machine(self) -> str:
        """The address of this machine as pods see it."""
        return self.about["LOCALCLUSTER_MACHINE_ADDRESS"]


@dataclass(frozen=True)
class Installation:
    """One `helm install` of the chart."""

    release: str
    namespace: str
    kubectl: Kubectl

    @property
    def full_name(self) -> str:
        """Name of its Deployment, ServiceAccount and so on."""
        return f"{self.release}-model-rollback-operator"

    @property
    def actor(self) -> str:
        """The user as whom it meets the API server."""
        return f"system:serviceaccount:{self.namespace}:{self.full_name}"

    def pod(self) -> dict[str, Any]:
        """Its one pod that is not ending."""
        items = self.kubectl.json(
            "get", "pods", f"--selector=app.kubernetes.io/instance={self.release}", namespace=self.namespace
        )["items"]
        (found,) = (pod for pod in items if "deletionTimestamp" not in pod["metadata"])
        return dict(found)

    def python(self, code: str) -> str:
        """What a line of Python prints inside the operator's container."""
        return self.kubectl(
            "exec", f"deployment/{self.full_name}", "--", "python", "-c", code, namespace=self.namespace
        ).strip()

    def log(self) -> str:
        """The log of its container, as the kubelet gives it."""
        return self.kubectl("logs", f"deployment/{self.full_name}", namespace=self.namespace)


@dataclass(frozen=True)
class Shop:
    """A namespace with the model, protected by an operator that runs in a pod."""

    world: World
    operator: Installation
    address: str
    """ClusterIP of the model's Service."""

    def deploy(self, version: str) -> None:
        """kubectl apply of that version, not waited for."""
        self.world.apply(deployment(version))

    def answering_version(self) -> str:
        """The version that answers at the ClusterIP, asked over a connection of its own."""
        answer = requests.get(f"http://{self.address}:{PORT}/version", timeout=5)
        return str(answer.json()["version"])

    def running_images(self) -> list[str]:
        """The image of each container of the model that the kubelet says is running."""
        pods = self.world.kubectl.json(
            "get", "pods", "--selector=app=recommender", namespace=self.world.namespace
        )
        statuses = [s for pod in pods["items"] for s in pod["status"].get("containerStatuses", [])]
        return [status["image"] for status in statuses if "running" in status["state"]]
