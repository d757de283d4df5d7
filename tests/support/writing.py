"""What people write with kubectl, asked in this process: the tests of scenarios write hundreds of times.

Where it matters which program wrote, a test runs that program.
"""

from collections.abc import Mapping

from tests.support.asking import JSON, RefusedError, api_server
from tests.support.commands import CommandError, Document, Kubectl
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
    _ask(kubectl, "DELETE", kind, name, namespace, {"propagationPolicy": "Background"}, JSON)

    def gone() -> bool:
        server = api_server(kubectl.kubeconfig)
        try:
            server.ask("GET", server.resource(kind), name, namespace=namespace)
        except RefusedError as error:
            return error.reason == "NotFound"
        return False

    wait_until(gone, 60, describe=f"{kind} {name} to be gone")


def _ask(
    kubectl: Kubectl,
    method: str,
    kind: str,
    path: str,
    namespace: str,
    body: Document,
    content: str,
    params: Mapping[str, str] = {},
) -> None:
    server = api_server(kubectl.kubeconfig)
    try:
        server.ask(
            method,
            server.resource(kind),
            path,
            namespace=namespace,
            params=params,
            body=body,
            content=content,
        )
    except RefusedError as error:
        raise CommandError([kubectl.program.name, method.lower(), kind, path], 1, str(error)) from None
