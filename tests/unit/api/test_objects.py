"""The table of good and bad objects, against the models and against a real API server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from model_rollback.api.crd import FOLDERS, KINDS
from model_rollback.api.v1alpha1.rollback import Rollback, refused_changes
from tests.support.commands import CommandError, Kubectl
from tests.unit.api.objects import (
    MODEL_DEPLOYMENT,
    OBJECTS,
    ROLLBACK_POLICY,
    UPDATES,
    Document,
    Row,
    Update,
)

ROOT = Path(__file__).resolve().parents[3]
BY_KIND = {kind.info.kind: kind for kind in KINDS}


def refusal_of_the_models(document: Document) -> str | None:
    """What the models say against the object, with the path of each field; None when they take it."""
    try:
        BY_KIND[document["kind"]].model_validate(document)
    except ValidationError as error:
        return "\n".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return None


def refusal_of_the_server(kubectl: Kubectl, *words: str, document: Document, namespace: str) -> str | None:
    """What the API server says against the object in a dry run; None when it takes it."""
    try:
        kubectl(
            *words,
            "--dry-run=server",
            "--validate=strict",
            "--filename=-",
            namespace=namespace,
            stdin=json.dumps(document),
        )
    except CommandError as error:
        return error.stderr
    return None


def assert_said(refusal: str | None, says: str | None) -> None:
    if says is None:
        assert refusal is None
    else:
        assert refusal is not None, "it was accepted"
        assert says.lower() in refusal.lower()


@pytest.fixture(scope="module")
def installed(request: pytest.FixtureRequest) -> Iterator[tuple[Kubectl, str]]:
    """The CRDs on the cluster, and a namespace for all rows; the objects are dry runs but for the Rollbacks."""
    cluster = request.getfixturevalue("cluster")
    kubectl = Kubectl(cluster.binaries / "kubectl", cluster.environment)
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ROOT / FOLDERS[0]}")
    kubectl("wait", "--for=condition=Established", "--timeout=60s", f"--filename={ROOT / FOLDERS[0]}")
    namespace = "t-table-of-objects"
    kubectl("create", "namespace", namespace)
    yield kubectl, namespace
    kubectl("delete", "namespace", namespace, "--wait=false")


def test_the_table_is_a_table() -> None:
    ids = [row.id for row in (*OBJECTS, *UPDATES)]
    assert len(ids) == len(set(ids))
    assert {row.base["kind"] for row in OBJECTS} == set(BY_KIND)


@pytest.mark.parametrize("row", OBJECTS, ids=lambda r: r.id)
def test_the_models_judge_an_object(row: Row) -> None:
    assert_said(refusal_of_the_models(row.document), row.says)


@pytest.mark.cluster
@pytest.mark.parametrize("row", OBJECTS, ids=lambda r: r.id)
def test_the_api_server_judges_an_object_alike(row: Row, installed: tuple[Kubectl, str]) -> None:
    kubectl, namespace = installed
    assert_said(
        refusal_of_the_server(kubectl, "create", document=row.document, namespace=namespace), row.says
    )


@pytest.mark.parametrize("row", UPDATES, ids=lambda r: r.id)
def test_the_models_judge_a_change(row: Update) -> None:
    old = Rollback.model_validate({**row.old, "status": row.status})
    new = Rollback.model_validate({**row.new, "status": row.status})
    assert_said("\n".join(refused_changes(old, new)) or None, row.says)


@pytest.mark.cluster
@pytest.mark.parametrize("row", UPDATES, ids=lambda r: r.id)
def test_the_api_server_judges_a_change_alike(row: Update, installed: tuple[Kubectl, str]) -> None:
    kubectl, namespace = installed
    name = f"update-{UPDATES.index(row)}"
    kubectl("create", "--filename=-", namespace=namespace, stdin=json.dumps(named(row.old, name)))
    status = json.dumps({"status": row.status})
    kubectl(
        "patch", "rbk", name, "--subresource=status", "--type=merge", f"--patch={status}", namespace=namespace
    )
    assert_said(
        refusal_of_the_server(kubectl, "replace", document=named(row.new, name), namespace=namespace),
        row.says,
    )


def named(document: Document, name: str) -> Document:
    return {**document, "metadata": {"name": name}}


@pytest.mark.cluster
def test_the_api_server_writes_the_defaults_of_the_models(installed: tuple[Kubectl, str]) -> None:
    kubectl, namespace = installed
    for smallest in (MODEL_DEPLOYMENT, ROLLBACK_POLICY):
        answer = kubectl(
            "create",
            "--dry-run=server",
            "--output=json",
            "--filename=-",
            namespace=namespace,
            stdin=json.dumps(smallest),
        )
        spec = BY_KIND[smallest["kind"]].model_validate(smallest).spec
        ours = without_empty(spec.model_dump(mode="json", by_alias=True, exclude_none=True))
        assert json.loads(answer)["spec"] == ours
        assert "status" not in json.loads(answer)


def without_empty(value: Any) -> Any:
    """Empty lists and maps mean the same as absence; nobody writes them."""
    if isinstance(value, dict):
        return {k: without_empty(v) for k, v in value.items() if v not in ([], {})}
    return [without_empty(v) for v in value] if isinstance(value, list) else value
