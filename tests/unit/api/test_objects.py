"""The table of good and bad objects, against the models and against a real API server."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from requests import Response

from model_rollback.api.crd import FOLDERS, KINDS
from tests.support.administrator import Administrator
from tests.support.commands import Kubectl
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


def refusal_of_the_server(administrator: Administrator, document: Document, *, name: str = "") -> str | None:
    """What the API server says against the object, or against this change of `name`, in a strict dry run.

    None when it takes it.
    """
    answer = administrator.ask(
        "PUT" if name else "POST", document, name, dryRun="All", fieldValidation="Strict"
    )
    return None if answer.ok else str(answer.json()["message"])


def assert_said(refusal: str | None, says: str | None) -> None:
    if says is None:
        assert refusal is None
    else:
        assert refusal is not None, "it was accepted"
        assert says.lower() in refusal.lower()


@pytest.fixture(scope="module")
def installed(request: pytest.FixtureRequest) -> Iterator[Administrator]:
    """The CRDs on the cluster, and a namespace for all rows; the objects are dry runs but for the Rollbacks."""
    cluster = request.getfixturevalue("cluster")
    kubectl = Kubectl(cluster.binaries / "kubectl", cluster.environment)
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ROOT / FOLDERS[0]}")
    kubectl("wait", "--for=condition=Established", "--timeout=60s", f"--filename={ROOT / FOLDERS[0]}")
    administrator = Administrator(kubectl.kubeconfig, f"t-table-of-objects-{uuid.uuid4().hex[:6]}")
    administrator.create_namespace()
    yield administrator
    administrator.delete_namespace()


def test_the_table_is_a_table() -> None:
    ids = [row.id for row in (*OBJECTS, *UPDATES)]
    assert len(ids) == len(set(ids))
    assert {row.base["kind"] for row in OBJECTS} == set(BY_KIND)


@pytest.mark.parametrize("row", OBJECTS, ids=lambda r: r.id)
def test_the_models_judge_an_object(row: Row) -> None:
    assert_said(refusal_of_the_models(row.document), row.says)


@pytest.mark.cluster
@pytest.mark.parametrize("row", OBJECTS, ids=lambda r: r.id)
def test_the_api_server_judges_an_object_alike(row: Row, installed: Administrator) -> None:
    assert_said(refusal_of_the_server(installed, row.document), row.says)


@pytest.mark.cluster
@pytest.mark.parametrize("row", UPDATES, ids=lambda r: r.id)
def test_the_api_server_judges_a_change(row: Update, installed: Administrator) -> None:
    name = f"update-{UPDATES.index(row)}"
    installed.ask("POST", named(row.old, name)).raise_for_status()
    was = installed.ask("PATCH", {**named(row.old, name), "status": row.status}, f"{name}/status")
    was.raise_for_status()
    new = {**row.new, "metadata": {"name": name, "resourceVersion": version_of(was)}}
    assert_said(refusal_of_the_server(installed, new, name=name), row.says)


def version_of(answer: Response) -> str:
    """What a replacement must name."""
    return str(answer.json()["metadata"]["resourceVersion"])


def named(document: Document, name: str) -> Document:
    return {**document, "metadata": {"name": name}}


@pytest.mark.cluster
def test_the_api_server_writes_the_defaults_of_the_models(installed: Administrator) -> None:
    for smallest in (MODEL_DEPLOYMENT, ROLLBACK_POLICY):
        answer = installed.ask("POST", smallest, dryRun="All")
        spec = BY_KIND[smallest["kind"]].model_validate(smallest).spec
        ours = without_empty(spec.model_dump(mode="json", by_alias=True, exclude_none=True))
        assert answer.json()["spec"] == ours


@pytest.mark.cluster
def test_the_api_server_takes_a_version_that_two_rollbacks_keep_out(installed: Administrator) -> None:
    """As when it was deployed again while it was in quarantine, and is rolled back from once more."""
    installed.ask("POST", named(MODEL_DEPLOYMENT, "kept-out-twice")).raise_for_status()
    out = {"version": "v13", "digest": "ab" * 32, "until": "2026-11-25T12:00:00Z"}
    twice = [{**out, "rollback": "recommender-earlier"}, {**out, "rollback": "recommender-later"}]

    written = installed.ask(
        "PATCH",
        {**named(MODEL_DEPLOYMENT, "kept-out-twice"), "status": {"quarantined": twice}},
        "kept-out-twice/status",
    )

    assert written.ok, written.text


def without_empty(value: Any) -> Any:
    """Empty lists and maps mean the same as absence; nobody writes them."""
    if isinstance(value, dict):
        return {k: without_empty(v) for k, v in value.items() if v not in ([], {})}
    return [without_empty(v) for v in value] if isinstance(value, list) else value
