"""Where a Service is, and which Services are not asked because they may lead anywhere."""

from pathlib import Path
from typing import Any

import pytest

from model_rollback.adapters.probes.services import ClusterServices
from model_rollback.errors import ClusterError, Forbidden, NotFound, Refused
from tests.unit.adapters.apiserver import Step, says, scripted, status

SELECTOR = {"app": "recommender"}
NO_PODS: dict[str, Any] = {"items": []}


def service(**spec: Any) -> Step:
    given = {"clusterIP": "10.96.0.7", "ports": [{"port": 8080}], "selector": SELECTOR, **spec}
    return says("200 OK", {"spec": {key: value for key, value in given.items() if value is not None}})


def pod(ip: str, ready: str = "True") -> dict[str, Any]:
    return {"status": {"podIP": ip, "conditions": [{"type": "Ready", "status": ready}]}}


async def find(folder: Path, *steps: Step) -> tuple[Any, list[Any]]:
    async with scripted(folder, *steps) as (script, connection):
        found = await ClusterServices(connection).address("shop", "recommender", 8080)
    return found, script.requests


async def test_a_service_is_at_its_cluster_ip(tmp_path: Path):
    found, requests = await find(tmp_path, service())
    assert found == ("10.96.0.7", 8080)
    assert [path for _, path, _ in requests] == ["/api/v1/namespaces/shop/services/recommender"]


async def test_a_headless_service_is_at_a_ready_pod(tmp_path: Path):
    pods = {"items": [pod("10.1.0.1", "False"), {"status": {}}, pod("10.1.0.2")]}
    found, requests = await find(tmp_path, service(clusterIP="None", ports=None), says("200 OK", pods))
    assert found == ("10.1.0.2", 8080)
    assert requests[1][2]["labelSelector"] == "app=recommender"


NOT_ASKED: dict[str, tuple[list[Step], type[ClusterError], str]] = {
    "an ExternalName": (
        [service(type="ExternalName", externalName="metadata.google.internal", clusterIP=None)],
        Refused,
        "leads out of the namespace",
    ),
    "one without a selector: its endpoints may be anywhere, the API server's own included": (
        [service(selector=None)],
        Refused,
        "may lead anywhere",
    ),
    "a port that it does not have": (
        [service(ports=[{"port": 80}, {"port": 9090}])],
        Refused,
        "no port 8080; it has 80, 9090",
    ),
    "a headless one without a ready pod": (
        [service(clusterIP="None"), says("200 OK", NO_PODS)],
        Refused,
        "no ready pod",
    ),
    "one that does not exist": (
        [says("404 Not Found", status(404, "services not found"))],
        NotFound,
        "recommender",
    ),
    "a right that is missing": ([says("403 Forbidden", status(403, "forbidden"))], Forbidden, "forbidden"),
}


@pytest.mark.parametrize("case", NOT_ASKED)
async def test_what_is_not_asked(case: str, tmp_path: Path):
    steps, error, words = NOT_ASKED[case]
    with pytest.raises(error, match=words):
        await find(tmp_path, *steps)
