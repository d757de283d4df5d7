"""Credentials of a ServiceAccount and nothing else."""

from pathlib import Path

from tests.support.administrator import Administrator
from tests.support.commands import Kubectl


def service_account_kubeconfig(kubectl: Kubectl, namespace: str, name: str, folder: Path) -> Path:
    """Write a kubeconfig into `folder` whose only credential is a token of that ServiceAccount, good for an hour.

    The ServiceAccount must exist. Returns the path.
    """
    return Administrator(kubectl.kubeconfig, namespace).write_kubeconfig(name, folder)
