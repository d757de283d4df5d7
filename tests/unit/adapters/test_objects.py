"""How refusals and faults of an API server are translated, and what may enter a URL."""

from pathlib import Path
from typing import Any

import pytest

from model_rollback.adapters.objects import ClusterObjects
from model_rollback.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    Unavailable,
)
from model_rollback.ports import ObjectRef
from tests.unit.adapters.apiserver import reset, says, scripted, silence, status

REF = ObjectRef("v1", "ConfigMap", "shop", "settings")


@pytest.mark.parametrize(
    ("line", "code", "kind"),
    [
        ("400 Bad Request", 400, Refused),
        ("401 Unauthorized", 401, Forbidden),
        ("403 Forbidden", 403, Forbidden),
        ("404 Not Found", 404, NotFound),
        ("405 Method Not Allowed", 405, Refused),
        ("409 Conflict", 409, Conflict),
        ("413 Too Large", 413, Refused),
        ("422 Unprocessable Entity", 422, Invalid),
        ("429 Too Many Requests", 429, Unavailable),
        ("500 Internal Server Error", 500, Unavailable),
        ("503 Service Unavailable", 503, Unavailable),
        ("504 Gateway Timeout", 504, Unavailable),
    ],
)
async def test_a_refusal_becomes_its_error_with_the_servers_words(
    tmp_path: Path, line: str, code: int, kind: type[ClusterError]
):
    async with scripted(tmp_path, says(line, status(code, "because of this"))) as (_, connection):
        with pytest.raises(ClusterError) as caught:
            await ClusterObjects(connection).get(REF)
    assert type(caught.value) is kind
    assert str(caught.value) == f"get ConfigMap shop/settings: because of this ({code})"


@pytest.mark.parametrize(
    ("details", "causes"),
    [
        ({}, ()),
        ({"details": {}}, ()),
        (
            {"details": {"causes": [{"field": "spec.x", "message": "Required value"}]}},
            ("spec.x: Required value",),
        ),
        ({"details": {"causes": "odd"}}, ()),
    ],
    ids=["no details", "failed test", "schema", "odd"],
)
async def test_invalid_tells_a_failed_test_from_a_broken_schema(
    tmp_path: Path, details: dict[str, Any], causes: tuple[str, ...]
):
    refusal = says("422 Unprocessable Entity", status(422, "no", **details))
    async with scripted(tmp_path, refusal) as (_, connection):
        with pytest.raises(Invalid) as caught:
            await ClusterObjects(connection).patch_json(REF, [{"op": "test", "path": "/a", "value": 1}])
    assert caught.value.causes == causes


async def test_a_message_does_not_quote_the_whole_object(tmp_path: Path):
    """Guard: `_WHOLE_OBJECT`; the API server quotes environment variables and all."""
    text = 'patch: Invalid value: "{\\"env\\":\\"s3cret\\"}": cannot unmarshal number'
    body = status(422, text, details={"causes": [{"field": "patch", "message": text}]})
    async with scripted(tmp_path, says("422 Unprocessable Entity", body)) as (_, connection):
        with pytest.raises(Invalid) as caught:
            await ClusterObjects(connection).get(REF)
    assert "s3cret" not in str(caught.value) + str(caught.value.causes)
    assert "cannot unmarshal number" in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        (("Retry-After: 7",), status(429, "slow"), 7.0),
        ((), status(429, "slow", details={"retryAfterSeconds": 3}), 3.0),
        (("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT",), status(429, "slow"), None),
        (("Retry-After: -1",), status(429, "slow"), None),
        ((), b"upstream connect error", None),
    ],
    ids=["header", "details", "date", "negative", "no status object"],
)
async def test_unavailable_says_how_long_to_wait(
    tmp_path: Path, headers: tuple[str, ...], body: Any, seconds: float | None
):
    async with scripted(tmp_path, says("429 Too Many Requests", body, *headers)) as (script, connection):
        with pytest.raises(Unavailable) as caught:
            await ClusterObjects(connection).get(REF)
    assert caught.value.retry_after == seconds
    assert len(script.requests) == 1, "when to ask again is the caller's decision"


async def test_a_silent_api_server_is_unavailable(tmp_path: Path):
    """Guard: the total time-out; the library's own is five minutes."""
    async with scripted(tmp_path, silence, total=0.3) as (_, connection):
        with pytest.raises(Unavailable, match="did not answer in time"):
            await ClusterObjects(connection).get(REF)


async def test_a_broken_connection_is_unavailable(tmp_path: Path):
    async with scripted(tmp_path, reset) as (_, connection):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await ClusterObjects(connection).patch_json(REF, [])


@pytest.mark.parametrize("body", [b"<html>login</html>", b"", b"{"], ids=["html", "empty", "half"])
async def test_an_answer_that_is_not_json_is_unavailable(tmp_path: Path, body: bytes):
    async with scripted(tmp_path, says("200 OK", body)) as (_, connection):
        with pytest.raises(Unavailable, match="not JSON"):
            await ClusterObjects(connection).get(REF)


@pytest.mark.parametrize(
    "ref",
    [
        ObjectRef("v1", "ConfigMap", "shop", "../../secrets/x"),
        ObjectRef("v1", "ConfigMap", "shop", "a/b"),
        ObjectRef("v1", "ConfigMap", "shop", ""),
        ObjectRef("v1", "ConfigMap", "shop", "a" * 254),
        ObjectRef("v1", "ConfigMap", "shop", "a\n"),
        ObjectRef("v1", "ConfigMap", "shop?x=", "a"),
        ObjectRef("v1", "ConfigMap", "..", "a"),
        ObjectRef("v1", "ConfigMap", "", "a"),
        ObjectRef("../v1", "ConfigMap", "shop", "a"),
        ObjectRef("v1/namespaces/x", "ConfigMap", "shop", "a"),
        ObjectRef("", "ConfigMap", "shop", "a"),
    ],
    ids=lambda ref: f"{ref.api_version}|{ref.namespace}|{ref.name[:12]!r}",
)
async def test_a_name_that_may_not_stand_in_a_url_is_refused_before_anything_is_sent(
    tmp_path: Path, ref: ObjectRef
):
    """Guard: the name checks of `Paths`; `..` in a path would reach another object with our rights."""
    async with scripted(tmp_path, says("200 OK", {})) as (script, connection):
        for attempt in (
            ClusterObjects(connection).get(ref),
            ClusterObjects(connection).create(ref, {}),
            ClusterObjects(connection).patch_status(ref, {}, "1"),
        ):
            with pytest.raises(Refused):
                await attempt
    assert script.requests == []


async def test_every_write_names_its_field_manager_and_every_dry_run_is_one(tmp_path: Path):
    steps = [says("200 OK", {"ok": True})] * 5
    async with scripted(tmp_path, *steps) as (script, connection):
        objects = ClusterObjects(connection)
        await objects.create(REF, {})
        await objects.create(REF, {}, dry_run=True)
        await objects.patch_json(REF, [])
        await objects.patch_json(REF, [], dry_run=True)
        await objects.patch_status(REF, {}, "1")
    ours = {"fieldManager": "model-rollback-operator"}
    dry = {**ours, "dryRun": "All"}
    assert [(method, query) for method, _, query in script.requests] == [
        ("POST", ours),
        ("POST", dry),
        ("PATCH", ours),
        ("PATCH", dry),
        ("PATCH", ours),
    ]
    assert all("User-Agent: model-rollback-operator" in head for head in script.heads)


async def test_a_kind_that_is_not_served_yet_is_looked_for_again(tmp_path: Path):
    async with scripted(tmp_path) as (_, connection):
        with pytest.raises(NotFound, match="is its CRD installed"):
            await ClusterObjects(connection).get(ObjectRef("v1", "Rollback", "shop", "x"))
