"""What an administrator does for each test, without a process for each command: there are hundreds of namespaces."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pykube
import requests
import yaml
from requests.utils import get_environ_proxies

_PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Deployment": "deployments",
    "ModelDeployment": "modeldeployments",
    "RollbackPolicy": "rollbackpolicies",
    "Rollback": "rollbacks",
}
_WORKLOADS = (
    ("apps/v1", "deployments"),
    ("apps/v1", "statefulsets"),
    ("apps/v1", "daemonsets"),
    ("batch/v1", "cronjobs"),
    ("batch/v1", "jobs"),
)
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_PATIENCE = 60


class Administrator:
    """Of one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._cluster = _cluster(kubeconfig)
        self._api = client(kubeconfig)
        self._namespace = namespace

    def create_namespace(self) -> None:
        """It must not exist yet."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
        self._api.post(version="v1", url="namespaces", json=body, timeout=_PATIENCE).raise_for_status()

    def delete_namespace(self) -> None:
        """Nobody waits for that; it may be gone already."""
        answer = self._api.delete(version="v1", url=f"namespaces/{self._namespace}", timeout=_PATIENCE)
        if answer.status_code not in {requests.codes.not_found, requests.codes.conflict}:
            answer.raise_for_status()

    def serves(self, version: str) -> bool:
        """Whether the API server has that GROUP/VERSION."""
        return bool(self._api.get(version=version, url="", timeout=_PATIENCE).ok)

    def delete_workloads(self) -> None:
        """What has pods, which go with it; nobody waits for that. A namespace costs as much as a test to delete."""
        for version, plural in _WORKLOADS:
            self._api.delete(
                version=version,
                namespace=self._namespace,
                url=plural,
                params={"propagationPolicy": "Background"},
                timeout=_PATIENCE,
            ).raise_for_status()

    def apply(self, *manifests: dict[str, Any]) -> None:
        """kubectl apply --server-side; the namespace that a manifest names is not looked at."""
        for manifest in manifests:
            url = f"{_PLURALS[manifest['kind']]}/{manifest['metadata']['name']}"
            self._api.patch(
                version=manifest["apiVersion"],
                namespace=self._namespace,
                url=url,
                params={"fieldManager": "people", "force": "true"},
                data=json.dumps(manifest),  # it is YAML as well, and written in a hundredth of the time
                headers=_APPLY,
                timeout=_PATIENCE,
            ).raise_for_status()

    def ask(self, method: str, document: dict[str, Any], name: str = "", **params: str) -> requests.Response:
        """One request about an object of the namespace, as JSON; a PATCH is a merge patch. The answer is not judged.

        `name`: of what is changed (`NAME` or `NAME/status`); without one it is created.
        """
        url = "/".join([_PLURALS[document["kind"]], *filter(None, [name])])
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer: requests.Response = self._api.request(
            method,
            version=document["apiVersion"],
            namespace=self._namespace,
            url=url,
            params=params,
            json=document,
            headers={"Content-Type": kind},
            timeout=_PATIENCE,
        )
        return answer

    def get(self, version: str, url: str) -> dict[str, Any]:
        """One object or list."""
        answer = self._api.get(version=version, namespace=self._namespace, url=url, timeout=_PATIENCE)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def get_raw(self, path: str) -> None:
        """A request for a path below /api/v1, whatever it answers."""
        self._api.get(version="v1", url=path.removeprefix("/api/v1/"), timeout=_PATIENCE)

    def write_kubeconfig(self, account: str, folder: Path) -> Path:
        """A kubeconfig whose only credential is a token of that ServiceAccount."""
        answer = self._api.post(
            version="v1",
            namespace=self._namespace,
            url=f"serviceaccounts/{account}/token",
            json={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": 3600},
            },
            timeout=_PATIENCE,
        )
        answer.raise_for_status()
        return _write_token(answer.json()["status"]["token"], self._cluster, self._namespace, account, folder)


@cache
def _cluster(kubeconfig: Path) -> dict[str, Any]:
    """The entry of the API server; read once, as each namespace of each trial has its administrator."""
    found: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    return found


@cache
def client(kubeconfig: Path) -> pykube.HTTPClient:
    """One for a kubeconfig, so that its connections are used again; threads may share it."""
    made = pykube.HTTPClient(pykube.KubeConfig.from_file(str(kubeconfig)), timeout=_PATIENCE)
    # Read once: pytest changes the environment between tests, which a thread must not meet on its way through it.
    made.session.proxies = get_environ_proxies(made.url)
    made.session.trust_env = False
    return made


def _write_token(token: str, cluster: dict[str, Any], namespace: str, name: str, folder: Path) -> Path:
    """The kubeconfig of that ServiceAccount's token; `cluster` as in an administrator's kubeconfig."""
    user = f"{namespace}.{name}"
    path = folder / f"{user}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "cluster", "cluster": cluster}],
                "users": [{"name": user, "user": {"token": token}}],
                "contexts": [
                    {"name": user, "context": {"cluster": "cluster", "user": user, "namespace": namespace}}
                ],
                "current-context": user,
            }
        )
    )
    return path
