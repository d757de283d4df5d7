"""Objects, watches and Events on a real API server."""

import asyncio
import base64
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter

from model_rollback.adapters.clock import SystemClock
from model_rollback.adapters.connection import Connection, connect
from model_rollback.adapters.events import EventRecorder
from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.adapters.objects import ClusterObjects
from model_rollback.adapters.watches import ClusterWatches, WatchTiming
from model_rollback.api.reasons import Reason
from model_rollback.errors import Conflict, Forbidden, Invalid, MetricsError, NotFound, Refused, Unavailable
from model_rollback.ports import Notice, ObjectRef, WatchEvent
from tests.support.cluster import Cluster
from tests.support.commands import Kubectl

pytestmark = pytest.mark.cluster

Json = Mapping[str, Any]


@pytest.fixture
async def connection(cluster: Cluster) -> AsyncIterator[Connection]:
    opened = await connect(str(cluster.kubeconfig))
    yield opened
    await opened.close()


@pytest.fixture
def objects(connection: Connection) -> ClusterObjects:
    return ClusterObjects(connection)


@pytest.fixture
def settings(namespace: str) -> ObjectRef:
    return ObjectRef("v1", "ConfigMap", namespace, "settings")


async def test_an_object_is_created_read_and_patched_under_our_name(
    objects: ClusterObjects, settings: ObjectRef
):
    created = await objects.create(settings, {"data": {"a": "1"}})
    patched = await objects.patch_json(
        settings,
        [
            {"op": "test", "path": "/metadata/uid", "value": created["metadata"]["uid"]},
            {"op": "test", "path": "/metadata/annotations", "value": None},
            {"op": "replace", "path": "/data/a", "value": "2"},
        ],
    )
    assert await objects.get(settings) == patched
    assert patched["data"] == {"a": "2"}
    assert {entry["manager"] for entry in patched["metadata"]["managedFields"]} == {"model-rollback-operator"}


async def test_a_dry_run_changes_nothing(objects: ClusterObjects, settings: ObjectRef):
    await objects.create(settings, {"data": {"a": "1"}}, dry_run=True)
    with pytest.raises(NotFound):
        await objects.get(settings)
    await objects.create(settings, {"data": {"a": "1"}})
    dry = await objects.patch_json(
        settings, [{"op": "replace", "path": "/data/a", "value": "2"}], dry_run=True
    )
    assert dry["data"] == {"a": "2"}
    assert (await objects.get(settings))["data"] == {"a": "1"}


async def test_a_name_that_exists_is_a_conflict(objects: ClusterObjects, settings: ObjectRef):
    await objects.create(settings, {})
    with pytest.raises(Conflict, match="already exists"):
        await objects.create(settings, {})


async def test_only_what_was_seen_is_deleted(objects: ClusterObjects, settings: ObjectRef):
    created = await objects.create(settings, {"data": {"a": "1"}})
    uid, seen = created["metadata"]["uid"], created["metadata"]["resourceVersion"]
    changed = await objects.patch_json(settings, [{"op": "replace", "path": "/data/a", "value": "2"}])
    newest = changed["metadata"]["resourceVersion"]

    await objects.delete(settings, uid, seen)
    await objects.delete(settings, "8f4b2c1e-0000-4000-8000-000000000000", newest)
    assert await objects.get(settings) == changed

    await objects.delete(settings, uid, newest)
    with pytest.raises(NotFound):
        await objects.get(settings)
    await objects.delete(settings, uid, newest)


async def test_a_failed_test_is_invalid_without_causes(objects: ClusterObjects, settings: ObjectRef):
    await objects.create(settings, {"data": {"a": "1"}})
    with pytest.raises(Invalid) as caught:
        await objects.patch_json(settings, [{"op": "test", "path": "/data/a", "value": "9"}])
    assert caught.value.causes == ()


async def test_a_broken_schema_is_invalid_with_causes(objects: ClusterObjects, namespace: str):
    with pytest.raises(Invalid) as caught:
        await objects.create(ObjectRef("apps/v1", "Deployment", namespace, "d"), {"spec": {}})
    assert "spec.selector: Required value" in caught.value.causes


async def test_a_body_that_cannot_be_read_is_refused(objects: ClusterObjects, namespace: str):
    with pytest.raises(Refused, match="cannot unmarshal string"):
        await objects.create(ObjectRef("apps/v1", "Deployment", namespace, "d"), {"spec": {"replicas": "x"}})


@pytest.mark.parametrize(
    "ref",
    [
        ObjectRef("v1", "ConfigMap", "default", "no-such-thing"),
        ObjectRef("v1", "Nonsense", "default", "x"),
        ObjectRef("nobody.example/v1", "Nonsense", "default", "x"),
    ],
    ids=["name", "kind", "group"],
)
async def test_what_is_not_there_is_not_found(objects: ClusterObjects, ref: ObjectRef):
    with pytest.raises(NotFound):
        await objects.get(ref)


async def test_a_missing_right_is_forbidden(connection: Connection, namespace: str):
    connection.client.set_default_header("Impersonate-User", f"system:serviceaccount:{namespace}:nobody")
    with pytest.raises(Forbidden, match="cannot get resource"):
        await ClusterObjects(connection).get(ObjectRef("v1", "ConfigMap", namespace, "settings"))


async def test_a_status_is_replaced_as_a_whole_and_guarded(
    objects: ClusterObjects, namespace: str, kubectl: Kubectl
):
    """Guard: the resourceVersion in the patch; the second writer would undo what the first one said."""
    ref = ObjectRef("v1", "PersistentVolumeClaim", namespace, "claim")
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "none",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    fresh = await objects.create(ref, {"spec": spec})
    resizing = {"type": "Resizing", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}
    first = await objects.patch_status(
        ref, {"phase": "Lost", "conditions": [resizing]}, fresh["metadata"]["resourceVersion"]
    )
    assert [condition["type"] for condition in first["status"]["conditions"]] == ["Resizing"]
    with pytest.raises(Conflict):
        await objects.patch_status(ref, {"phase": "Bound"}, fresh["metadata"]["resourceVersion"])
    second = await objects.patch_status(ref, {"phase": "Lost"}, first["metadata"]["resourceVersion"])
    assert second["status"] == {"phase": "Lost"}
    assert second["spec"] == first["spec"]


async def next_of(events: AsyncIterator[WatchEvent], type_: str, name: str | None = None) -> WatchEvent:
    """The next event of that type (and object); others are passed over."""
    async with asyncio.timeout(60):
        async for event in events:
            if event.type == type_ and (name is None or (event.object or {})["metadata"]["name"] == name):
                return event
    raise AssertionError("a watch has no end")


async def test_a_watch_sees_what_is_there_what_comes_and_what_goes(
    connection: Connection, objects: ClusterObjects, settings: ObjectRef, kubectl: Kubectl
):
    await objects.create(settings, {"data": {"a": "1"}})
    watches = ClusterWatches(connection, namespaces=[settings.namespace], page=1)
    async with contextlib.aclosing(watches.watch("v1", "ConfigMap")) as events:
        assert (await anext(events)).type == "Listing"
        listed = await next_of(events, "Upserted", "settings")
        assert listed.object is not None
        assert (listed.object["kind"], listed.object["apiVersion"]) == ("ConfigMap", "v1")
        await next_of(events, "Synced")
        await objects.create(ObjectRef("v1", "ConfigMap", settings.namespace, "late"), {})
        await next_of(events, "Upserted", "late")
        await asyncio.to_thread(kubectl, "delete", "configmap", "settings", namespace=settings.namespace)
        gone = await next_of(events, "Deleted", "settings")
        assert gone.object is not None
        assert gone.object["data"] == {"a": "1"}


async def test_a_watch_that_the_server_ends_misses_nothing(
    connection: Connection, objects: ClusterObjects, settings: ObjectRef
):
    """The server ends each watch after a second; everything comes exactly once and without another list."""
    watches = ClusterWatches(connection, namespaces=[settings.namespace], timing=WatchTiming(server=1.0))
    names = [f"n{number}" for number in range(12)]

    async def write() -> None:
        for name in names:
            await objects.create(ObjectRef("v1", "ConfigMap", settings.namespace, name), {})
            await asyncio.sleep(0.25)

    seen: list[str] = []
    async with contextlib.aclosing(watches.watch("v1", "ConfigMap")) as events:
        await next_of(events, "Synced")
        writing = asyncio.create_task(write())
        async with asyncio.timeout(60):
            while names[-1] not in seen:
                event = await anext(events)
                assert event.type == "Upserted", "no list in between"
                seen.append((event.object or {})["metadata"]["name"])
        await writing
    assert [name for name in seen if name in names] == names


@pytest.fixture
def widgets(kubectl: Kubectl) -> Iterator[Json]:
    """A CRD of this test alone, not yet applied; deleted afterwards."""
    group = f"{uuid.uuid4().hex[:8]}.example"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    yield {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }
    kubectl("delete", "crd", f"widgets.{group}", "--ignore-not-found", "--wait=false")


async def test_a_kind_whose_crd_comes_later_is_unavailable_until_then(
    connection: Connection, objects: ClusterObjects, namespace: str, kubectl: Kubectl, widgets: Json
):
    api_version = f"{widgets['spec']['group']}/v1"
    watches = ClusterWatches(connection, timing=WatchTiming(first_pause=0.05, longest_pause=0.2))
    async with contextlib.aclosing(watches.watch(api_version, "Widget")) as events:
        event = await next_of(events, "Unavailable")
        assert event.message == f"discover {api_version}: 404 page not found (404)"
        await asyncio.to_thread(kubectl, "create", "-f", "-", stdin=json.dumps(widgets))
        await next_of(events, "Synced")
        await ClusterObjects(connection).create(ObjectRef(api_version, "Widget", namespace, "first"), {})
        await next_of(events, "Upserted", "first")


async def test_a_version_that_the_server_forgot_lists_anew(
    connection: Connection, namespace: str, kubectl: Kubectl, widgets: Json, monkeypatch: pytest.MonkeyPatch
):
    """A real 410: the watch is made to go on from version 1, long before this kind's own history begins."""
    await asyncio.to_thread(kubectl, "create", "-f", "-", stdin=json.dumps(widgets))
    real_stream = connection.stream
    asked: list[str] = []

    def stream(path: str, **arguments: Any) -> Any:
        asked.append(arguments["query"]["resourceVersion"])
        if len(asked) == 1:
            arguments["query"]["resourceVersion"] = "1"
        return real_stream(path, **arguments)

    monkeypatch.setattr(connection, "stream", stream)
    api_version = f"{widgets['spec']['group']}/v1"
    watches = ClusterWatches(connection, timing=WatchTiming(first_pause=0.05, longest_pause=0.2))
    async with contextlib.aclosing(watches.watch(api_version, "Widget")) as events:
        await next_of(events, "Synced")
        await next_of(events, "Synced")
        await ClusterObjects(connection).create(ObjectRef(api_version, "Widget", namespace, "late"), {})
        await next_of(events, "Upserted", "late")
    assert len(asked) == 2


async def test_the_status_of_a_custom_resource_is_replaced_and_its_spec_left_alone(
    connection: Connection, namespace: str, kubectl: Kubectl, widgets: Json
):
    await asyncio.to_thread(kubectl, "create", "-f", "-", stdin=json.dumps(widgets))
    await asyncio.to_thread(
        kubectl, "wait", "--for=condition=Established", f"crd/{widgets['metadata']['name']}"
    )
    objects = ClusterObjects(connection)
    ref = ObjectRef(f"{widgets['spec']['group']}/v1", "Widget", namespace, "it")
    fresh = await objects.create(ref, {"spec": {"a": 1}})
    first = await objects.patch_status(ref, {"b": 2, "c": 3}, fresh["metadata"]["resourceVersion"])
    await objects.patch_json(ref, [{"op": "replace", "path": "/spec/a", "value": 9}])
    with pytest.raises(Conflict):
        await objects.patch_status(ref, {"b": 4}, first["metadata"]["resourceVersion"])
    now = await objects.get(ref)
    stored = await objects.patch_status(ref, {"b": 4}, now["metadata"]["resourceVersion"])
    assert (stored["spec"], stored["status"]) == ({"a": 9}, {"b": 4})


@contextlib.asynccontextmanager
async def recorder(connection: Connection) -> AsyncIterator[tuple[EventRecorder, CollectorRegistry]]:
    registry = CollectorRegistry()
    dropped = Counter("model_rollback_events_dropped", "Dropped.", ["cause"], registry=registry)
    it = EventRecorder(connection, SystemClock(), reporting_instance="operator-0", dropped=dropped)
    worker = asyncio.create_task(it.run())
    try:
        yield it, registry
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


def recorded(kubectl: Kubectl, namespace: str) -> list[Json]:
    items: list[Json] = json.loads(kubectl("get", "events.events.k8s.io", "-o", "json", namespace=namespace))[
        "items"
    ]
    return items


async def test_events_are_recorded_and_repeats_counted(
    connection: Connection, objects: ClusterObjects, settings: ObjectRef, kubectl: Kubectl
):
    regarding = await objects.create(settings, {})
    async with recorder(connection) as (it, _):
        for value in ("0.71", "0.64", "0.70"):
            it.publish(
                Notice(
                    regarding,
                    Reason.TRIGGER_BREACHED,
                    f"accuracy {value} " + "ä" * 2000,
                    "Evaluate",
                    warning=True,
                )
            )
        it.publish(Notice(regarding, Reason.ROLLBACK_STARTED, "started", "RollBack", related=regarding))
        await it.drain(30)
    found = await asyncio.to_thread(recorded, kubectl, settings.namespace)
    by_reason = {event["reason"]: event for event in found}
    assert len(found) == 2
    breached, started = by_reason["TriggerBreached"], by_reason["RollbackStarted"]
    assert breached["series"]["count"] == 3
    assert (breached["type"], started["type"]) == ("Warning", "Normal")
    assert (breached["reportingController"], breached["reportingInstance"]) == (
        "modelrollback.dev/operator",
        "operator-0",
    )
    assert breached["regarding"]["uid"] == started["related"]["uid"] == regarding["metadata"]["uid"]
    described = await asyncio.to_thread(
        kubectl, "describe", "configmap", "settings", namespace=settings.namespace
    )
    assert "TriggerBreached" in described
    assert "(x3 over" in described


async def test_events_of_a_namespace_that_is_gone_are_dropped_quietly(
    connection: Connection, objects: ClusterObjects, settings: ObjectRef
):
    regarding = await objects.create(settings, {})
    gone = {**regarding, "metadata": {**regarding["metadata"], "namespace": f"{settings.namespace}-gone"}}
    async with recorder(connection) as (it, registry):
        it.publish(Notice(gone, Reason.ARMED, "armed", "Evaluate"))
        it.publish(Notice(regarding, Reason.ARMED, "armed", "Evaluate"))
        await it.drain(30)
    causes = {
        cause: registry.get_sample_value("model_rollback_events_dropped_total", {"cause": cause})
        for cause in ("namespace_gone", "refused")
    }
    assert causes == {"namespace_gone": 1.0, "refused": None}


async def test_an_api_server_that_is_not_there_is_unavailable(cluster: Cluster, tmp_path: Any):
    text = cluster.kubeconfig.read_text(encoding="utf-8")
    real = await connect(str(cluster.kubeconfig))
    server = (await real.login()).server
    await real.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(text.replace(server, "https://127.0.0.1:1"))
    lost = await connect(str(elsewhere))
    with pytest.raises(Unavailable, match="cannot be reached"):
        await ClusterObjects(lost).get(ObjectRef("v1", "ConfigMap", "default", "x"))
    await lost.close()


async def test_a_metrics_source_is_believed_only_with_its_ca_bundle(cluster: Cluster, tmp_path: Any):
    """A server with a CA of its own: the API server is one, and no Prometheus."""
    known = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(base64.b64decode(known["certificate-authority-data"]))
    said = {}
    for name, ca_file in (("system's", None), ("its own", str(bundle))):
        source = PrometheusSource(SourceConfig(known["server"], ca_file=ca_file))
        try:
            with pytest.raises(MetricsError) as caught:
                await source.query("up", SystemClock().now())
        finally:
            source.close()
        said[name] = (caught.value.kind, "TLS to" in str(caught.value))
    assert said == {"system's": ("unreachable", True), "its own": ("unauthorized", False)}
