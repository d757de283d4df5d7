"""What people write with kubectl, asked in this process: the tests of scenarios write hundreds of times.

Where it matters which program wrote, a test runs that program.
"""

from typing import Any

import requests

from tests.support.commands import CommandError, Document, Kubectl
from tests.support.reading import RefusedError, Resource, reader
from tests.support.waiting import wait_until

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


def apply(kubectl: Kubectl, *manifests: Document, namespace: str) -> None:
    """`kubectl apply --server-side --force-conflicts`; raises CommandError."""
    for manifest in manifests:
        group = manifest["apiVersion"].rpartition("/")[0]
        kind = f"{manifest['kind'].lower()}.{group}".rstrip(".")
        options = {"fieldManager": "kubectl", "force": "true", "fieldValidation": "Strict"}
        _ask(kubectl, "PATCH", kind, manifest["metadata"]["name"], namespace, manifest, _APPLY, options)


def patch(
    kubectl: Kubectl, kind: str, name: str, change: Document, *, namespace: str, subresource: str = ""
) -> None:
    """`kubectl patch --type=merge`; raises CommandError."""
    path = "/".join(filter(None, [name, subresource]))
    _ask(kubectl, "PATCH", kind, path, namespace, change, _MERGE, {"fieldManager": "kubectl-patch"})


def delete(kubectl: Kubectl, kind: str, name: str, *, namespace: str) -> None:
    """`kubectl delete`: returns when it is gone; raises CommandError."""
    _ask(kubectl, "DELETE", kind, name, namespace, {"propagationPolicy": "Background"}, "application/json")
    api, resource = _resource(kubectl, kind)

    def gone() -> bool:
        found = api.get(version=resource.version, url=f"{resource.plural}/{name}", namespace=namespace)
        return bool(found.status_code == requests.codes.not_found)

    wait_until(gone, 60, describe=f"{kind} {name} to be gone")


def _ask(
    kubectl: Kubectl,
    method: str,
    kind: str,
    path: str,
    namespace: str,
    body: Document,
    content: str,
    options: dict[str, str] | None = None,
) -> None:
    try:
        api, resource = _resource(kubectl, kind)
        answer = api.request(
            method,
            version=resource.version,
            url=f"{resource.plural}/{path}",
            params=options or {},
            json=body,
            headers={"Content-Type": content},
            **({"namespace": namespace} if resource.namespaced else {}),
        )
        if not answer.ok:
            status: Any = answer.json()
            raise RefusedError(f"Error from server ({status['reason']}): {status['message']}")
    except RefusedError as error:
        raise CommandError([kubectl.program.name, method.lower(), kind, path], 1, str(error)) from None


def _resource(kubectl: Kubectl, kind: str) -> tuple[Any, Resource]:
    known = reader(kubectl.kubeconfig)
    return known.api, known.resource(kind)
