"""What people do in a trial's namespace, without a process for each command: there are hundreds of trials."""

from pathlib import Path
from typing import Any

import pykube
import yaml

from tests.support.identity import write_token

_PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Deployment": "deployments",
    "ModelDeployment": "modeldeployments",
    "RollbackPolicy": "rollbackpolicies",
}
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_PATIENCE = 60


class Administrator:
    """Of one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
        self._api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(kubeconfig)))
        self._namespace = namespace

    def create_namespace(self) -> None:
        """It must not exist yet."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
        self._api.post(version="v1", url="namespaces", json=body, timeout=_PATIENCE).raise_for_status()

    def delete_deployments(self) -> None:
        """Their pods go with them; nobody waits for that."""
        self._api.delete(
            version="apps/v1", namespace=self._namespace, url="deployments", timeout=_PATIENCE
        ).raise_for_status()

    def apply(self, *manifests: dict[str, Any]) -> None:
        """kubectl apply --server-side."""
        for manifest in manifests:
            url = f"{_PLURALS[manifest['kind']]}/{manifest['metadata']['name']}"
            self._api.patch(
                version=manifest["apiVersion"],
                namespace=self._namespace,
                url=url,
                params={"fieldManager": "people", "force": "true"},
                data=yaml.safe_dump(manifest),
                headers=_APPLY,
                timeout=_PATIENCE,
            ).raise_for_status()

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
        return write_token(answer.json()["status"]["token"], self._cluster, self._namespace, account, folder)
