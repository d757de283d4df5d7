"""Many protected systems on one cluster, made with concurrent requests."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bench.exporter import Exporter
from bench.ground import NAMESPACE, Ground
from model_rollback.adapters.connection import Connection, connect
from tests.support.administrator import Administrator
from tests.support.waiting import wait_until

GOOD, BAD = 0.97, 0.5
_AT_ONCE = 24
_MERGE = "application/merge-patch+json"
_OURS_VERSION = "modelrollback.dev/v1alpha1"
_OURS = f"/apis/{_OURS_VERSION}/namespaces/{NAMESPACE}"
_APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"

Manifest = dict[str, Any]


def image_of(name: str, version: str) -> str:
    """What a version is called in a registry."""
    return f"registry.example/{name}:{version}"


class Fleet:
    """`count` Deployments that run v13, each with a ModelDeployment that knows a Verified v12, and a policy."""

    def __init__(self, place: Ground, count: int, *, texts: int = 1, interval: str = "5s") -> None:
        """`texts`: distinct query texts that the policies share."""
        self._ground = place
        self._administrator = Administrator(place.kubeconfig, NAMESPACE)
        self._interval = interval
        self.names = [f"model-{number:05}" for number in range(count)]
        self._texts = texts
        groups = {name: f"g{number % texts:05}" for number, name in enumerate(self.names)}
        self._groups = groups
        self.exporter = Exporter(self.names, groups, GOOD)
        place.prometheus.scrape("bench", self.exporter.address, interval="5s")

    def create(self, names: Sequence[str], *, armed: bool = True) -> None:
        """These systems, with their policies if `armed`; returns when the samples of all names are in Prometheus."""
        asyncio.run(self._create(names, armed))
        self._ground.prometheus.wait_for(
            "count(model_quality)", lambda s: s and float(s[0]["value"][1]) >= len(self.names), timeout=60
        )

    def close(self) -> None:
        """Ends the exporter."""
        self.exporter.close()

    def arm(self, name: str) -> None:
        """Gives a system its policy."""
        self._administrator.ask("POST", self._policy(name)).raise_for_status()

    def disarm(self, name: str) -> None:
        """Takes the policy away; a Rollback that runs goes on."""
        self._ground.kubectl("delete", "rollbackpolicy", name, "--wait=false", namespace=NAMESPACE)

    def is_armed(self, name: str) -> bool:
        """Whether that policy says so."""
        status = self._administrator.get(_OURS_VERSION, f"rollbackpolicies/{name}").get("status", {})
        armed = [c["status"] for c in status.get("conditions", []) if c["type"] == "Armed"]
        return armed == ["True"]

    def armed(self) -> int:
        """How many policies say so."""
        found = self._ground.kubectl(
            "get",
            "rollbackpolicies",
            '-o=jsonpath={range .items[*]}{.status.conditions[?(@.type=="Armed")].status}{"\\n"}{end}',
            namespace=NAMESPACE,
        )
        return found.split().count("True")

    def wait_armed(self, count: int, timeout: float) -> None:
        """Until so many are."""
        wait_until(
            self.armed,
            timeout,
            accept=lambda n: n == count,
            describe=f"{count} policies to be armed",
            every=max(1, count / 500),
        )

    def image(self, name: str) -> str:
        """What the Deployment runs."""
        return _image(self._administrator.get("apps/v1", f"deployments/{name}"))

    def images(self) -> dict[str, str]:
        """What all of them run."""
        found = self._administrator.get("apps/v1", "deployments?resourceVersion=0")
        return {obj["metadata"]["name"]: _image(obj) for obj in found["items"]}

    def roll_out(self, names: Sequence[str]) -> None:
        """Plays the controllers: what the Deployments say now is rolled out."""
        asyncio.run(self._roll_out(names))

    async def _roll_out(self, names: Sequence[str]) -> None:
        async def one(connection: Connection, name: str) -> None:
            path = f"{_APPS}/deployments/{name}"
            body = await connection.request("GET", path, what=name)
            status = {"status": _status(body["metadata"]["generation"])}
            await connection.request("PATCH", f"{path}/status", what=name, body=status, content_type=_MERGE)

        await self._all(one, names)

    async def _create(self, names: Sequence[str], armed: bool) -> None:
        async def one(connection: Connection, name: str) -> None:
            path = f"{_APPS}/deployments"
            await connection.request("POST", path, what=name, body=_deployment(name))
            await connection.request(
                "PATCH",
                f"{path}/{name}/status",
                what=name,
                body={"status": _status(1)},
                content_type=_MERGE,
            )
            await connection.request(
                "POST", f"{_OURS}/modeldeployments", what=name, body=_model_deployment(name)
            )
            if armed:
                await connection.request(
                    "POST", f"{_OURS}/rollbackpolicies", what=name, body=self._policy(name)
                )

        await self._all(one, names)

    async def _all(self, work: Callable[[Connection, str], Awaitable[None]], names: Sequence[str]) -> None:
        connection = await connect(str(self._ground.kubeconfig), total=60)
        waiting = iter(names)

        async def worker() -> None:
            for name in waiting:
                await work(connection, name)

        try:
            await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))
        finally:
            await connection.close()

    def _policy(self, name: str) -> Manifest:
        query = "model_quality"
        if self._texts > 1:
            query = f'model_quality{{group="{self._groups[name]}"}}'
        return {
            "apiVersion": "modelrollback.dev/v1alpha1",
            "kind": "RollbackPolicy",
            "metadata": {"name": name},
            "spec": {
                "modelDeploymentRef": {"name": name},
                "interval": self._interval,
                "triggers": [
                    {
                        "name": "accuracy",
                        "query": query,
                        "series": {"model": name},
                        "breach": {"operator": "LessThan", "threshold": "0.90"},
                    }
                ],
                "validation": {"settle": "1s", "duration": "2s"},
            },
        }


def _image(deployment: Manifest) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def _deployment(name: str) -> Manifest:
    labels = {"app": name, "app.kubernetes.io/version": "v13"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "server", "image": image_of(name, "v13")}]},
            },
        },
    }


def _model_deployment(name: str) -> Manifest:
    def version(label: str) -> Manifest:
        value = {"component": "model", "pin": "image", "value": image_of(name, label)}
        return {"name": label, "safe": "Verified", "values": [value]}

    component = {
        "name": "model",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "preset": "ContainerImage",
        "container": "server",
    }
    return {
        "apiVersion": "modelrollback.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {
            "components": [component],
            "versions": [version("v12"), version("v13")],
            "versioning": {"stabilizeFor": "1s"},
        },
    }


def _status(generation: int) -> Manifest:
    """As the Deployment controller writes it when a rollout is complete."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    progressing = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    return {"observedGeneration": generation, **counts, "conditions": [available, progressing]}


def read_json(path: Any) -> Any:
    """A file that another process writes in one go."""
    return json.loads(path.read_text())
