"""Credentials of a ServiceAccount and nothing else."""

from pathlib import Path
from typing import Any

import yaml

from tests.support.commands import Kubectl


def service_account_kubeconfig(kubectl: Kubectl, namespace: str, name: str, folder: Path) -> Path:
    """Write a kubeconfig into `folder` whose only credential is a token of that ServiceAccount, good for an hour.

    The ServiceAccount must exist. Returns the path.
    """
    token = kubectl("create", "token", name, "--duration=1h", namespace=namespace).strip()
    admin = yaml.safe_load(kubectl("config", "view", "--minify", "--flatten", "--raw"))
    return write_token(token, admin["clusters"][0]["cluster"], namespace, name, folder)


def write_token(token: str, cluster: dict[str, Any], namespace: str, name: str, folder: Path) -> Path:
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
