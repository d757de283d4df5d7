"""Which version a Deployment serves, read from the API server as a sidecar would.

Where containers run, the pod's image carries its model and nothing here is needed. On a control plane whose nodes
are simulated no container runs, so one process plays the pods: it watches the Deployment's ReplicaSets and serves
the version that their *ready* pods would serve. A release whose pods never get ready therefore never serves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from kubernetes import client, watch
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3.exceptions import HTTPError

log = logging.getLogger(__name__)

_REVISION = "deployment.kubernetes.io/revision"
_RETRY_SECONDS = 1.0
_WATCH_SECONDS = 60
_LIST_TIMEOUT_SECONDS = 10

Manifest = dict[str, Any]


def ready_version(replica_sets: Iterable[Manifest], *, deployment: str, container: str) -> str | None:
    """The version of the newest revision that has a ready pod; None when no pod is ready.

    The version is the tag of the image of `container`: `registry.example/recommender:v12` is v12. During a rollout
    the old revision serves until the first pod of the new one is ready. Revisions are counted by the Deployment
    controller, which gives a template that comes back (a rollback) a new number.
    """
    ready = [
        replica_set
        for replica_set in replica_sets
        if _owned_by(replica_set, deployment) and replica_set.get("status", {}).get("readyReplicas", 0) > 0
    ]
    if not ready:
        return None
    newest = max(ready, key=_revision)
    for candidate in newest["spec"]["template"]["spec"]["containers"]:
        if candidate["name"] == container:
            return image_tag(candidate["image"])
    log.error("ReplicaSet %s has no container %r", newest["metadata"]["name"], container)
    return None


def image_tag(image: str) -> str:
    """The tag of an image reference, without its digest; `latest` when it has none."""
    reference = image.partition("@")[0]
    _, separator, tag = reference.rpartition("/")[2].partition(":")
    return tag if separator else "latest"


def _owned_by(replica_set: Manifest, deployment: str) -> bool:
    owners = replica_set["metadata"].get("ownerReferences", [])
    return any(owner["kind"] == "Deployment" and owner["name"] == deployment for owner in owners)


def _revision(replica_set: Manifest) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get(_REVISION, "0"))


def connect(context: str | None = None) -> client.ApiClient:
    """A client from KUBECONFIG (or its default place), else from the pod's ServiceAccount.

    Raises kubernetes.config.ConfigException when there is neither.
    """
    try:
        load_kube_config(context=context)
    except ConfigException as outside:
        if context:
            raise
        try:
            load_incluster_config()
        except ConfigException as inside:
            raise ConfigException(f"{outside} {inside}") from inside
    api = client.ApiClient()
    api.user_agent = "model-server"
    return api


def follow(
    api: client.ApiClient,
    *,
    namespace: str,
    deployment: str,
    container: str,
    serve: Callable[[str | None], None],
) -> None:
    """Call `serve` with the ready version, again when it changes and at each new watch (once a minute), for ever.

    While the API server cannot be asked nothing changes: what serves goes on. Needs list and watch on ReplicaSets.
    """
    while True:
        try:
            versions = (
                ready_version(replica_sets, deployment=deployment, container=container)
                for replica_sets in _observe(api, namespace)
            )
            for version, _ in groupby(versions):
                serve(version)
        except (client.ApiException, HTTPError) as error:
            log.warning(
                "cannot watch ReplicaSets in %s, next try in %g s: %s", namespace, _RETRY_SECONDS, error
            )
            time.sleep(_RETRY_SECONDS)


def _observe(api: client.ApiClient, namespace: str) -> Iterator[list[Manifest]]:
    """All ReplicaSets of the namespace: first as listed, then after each event; ends when the watch does."""
    apps = client.AppsV1Api(api)
    listed = api.sanitize_for_serialization(
        apps.list_namespaced_replica_set(namespace, _request_timeout=_LIST_TIMEOUT_SECONDS)
    )
    known = {item["metadata"]["uid"]: item for item in listed["items"]}
    yield list(known.values())
    stream = watch.Watch().stream(
        apps.list_namespaced_replica_set,
        namespace,
        resource_version=listed["metadata"]["resourceVersion"],
        timeout_seconds=_WATCH_SECONDS,
        _request_timeout=_WATCH_SECONDS + 5,
    )
    for event in stream:
        manifest = event["raw_object"]
        known.pop(manifest["metadata"]["uid"], None)
        if event["type"] != "DELETED":
            known[manifest["metadata"]["uid"]] = manifest
        yield list(known.values())
