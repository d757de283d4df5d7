"""Every kind of probe on the real API server: what proves a rollback, and what keeps it from being called proved."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support import writing
from tests.support.cluster import Cluster
from tests.support.operator import Operators

pytestmark = pytest.mark.cluster


VERSION = {"jsonPath": "$.model_version"}


def smoke(**annotations: str) -> dict[str, Any]:
    """A Job that ends as its annotations say."""
    return {
        "metadata": {"annotations": {"sim/run-for": "200ms", **annotations}},
        "spec": {"containers": [{"name": "smoke", "image": "registry.example/smoke:1"}]},
    }


def probes(world: World, **job_annotations: str) -> list[dict[str, Any]]:
    """One of each kind."""
    engagement = f'model_quality{{metric="engagement",namespace="{world.namespace}"}}'
    low = {"operator": "LessThan", "threshold": "0.10"}
    return [
        {"name": "ready", "readiness": {}},
        {
            "name": "answers",
            "http": {"service": "recommender", "port": 8080, "path": "/", "expectVersion": VERSION},
        },
        {"name": "recovered", "trigger": "accuracy"},
        {"name": "engagement", "metric": {"query": engagement, "breach": low}},
        {"name": "quiet", "logs": {"component": "model", "pattern": f"oom in {world.namespace}$"}},
        {"name": "smoke", "job": {"template": smoke(**job_annotations)}},
    ]


@pytest.fixture
def own_address() -> str:
    """The address of this machine under which others know it: none that is refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.connect(("192.0.2.1", 9))  # nothing is sent: it only chooses the interface
        return str(unused.getsockname()[0])


@pytest.fixture
def elsewhere() -> Iterator[HTTPServer]:
    """Answers at every address of this machine, at a loopback address too."""
    with HTTPServer(host="0.0.0.0", port=0) as server:
        yield server


@pytest.fixture
def probed(
    world: World, operators: Operators, httpserver: HTTPServer, elsewhere: HTTPServer, own_address: str
) -> World:
    """v12 is Verified; the operator finds the Service `recommender` in this process, for no Service answers here.

    It may ask two hosts outside; whoever owns the second one lets its name lead somewhere else once it was asked.
    """
    address = f"127.0.0.1:{httpserver.port}"
    hosts = {"models.example.com": [own_address], "rebound.example.com": [own_address, "127.0.0.1"]}
    operators.start(
        resolve=(f"recommender.{world.namespace}.svc:8080={address}",),
        allowed_hosts=tuple(f"{host}:{elsewhere.port}" for host in hosts),
        names=hosts,
    )
    world.wait_for_version("v12", verified=True)
    return world


@pytest.fixture
def write_log(cluster: Cluster) -> Callable[[str], None]:
    """Every pod of this cluster writes that line now."""
    if cluster.pod_log is None:
        pytest.skip("pods of this cluster write logs of their own")
    log = cluster.pod_log

    def write(text: str) -> None:
        with log.open("a") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z stdout F {text}\n")

    return write


def _break_with(world: World, wanted: list[dict[str, Any]], **validation: str) -> None:
    world.patch(
        "rollbackpolicy",
        {
            "validation": {"settle": "1s", "duration": "2s", "probes": wanted, **validation},
            "execution": {"stepTimeout": "60s"},
        },
    )
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    world.wait_for_image("v12")
    world.quality(GOOD)


def test_metrics_logs_and_a_job_prove_a_rollback(
    probed: World, httpserver: HTTPServer, elsewhere: HTTPServer, write_log: Callable[[str], None]
) -> None:
    probed.gauge("engagement", 0.20)
    httpserver.expect_request("/").respond_with_json({"model_version": "v12"})
    elsewhere.expect_request("/").respond_with_json({"model_version": "v12"})
    write_log(f"oom in {probed.namespace}")  # before the revert: it does not count
    allowed = {"host": "models.example.com", "port": elsewhere.port, "expectVersion": VERSION}
    _break_with(probed, [*probes(probed), {"name": "allowed", "http": allowed}])

    done = probed.wait_for_result()

    assert done["status"]["result"] == "Succeeded"
    answers = {p["probe"]: p for p in done["status"]["validation"]}
    assert {name: p["state"] for name, p in answers.items()} == dict.fromkeys(
        ("ready", "answers", "recovered", "engagement", "quiet", "smoke", "allowed"), "Passed"
    )
    assert answers["allowed"]["observed"] == "v12"
    assert {r.headers["Host"] for r, _ in elsewhere.log} == {f"models.example.com:{elsewhere.port}"}
    assert answers["answers"]["observed"] == "v12"
    assert answers["engagement"]["message"] == "0.2 is not < 0.10"
    assert answers["quiet"]["message"].startswith("0 lines match")
    job = probed.get("job", answers["smoke"]["observed"])
    assert job["metadata"]["ownerReferences"][0]["uid"] == done["metadata"]["uid"]
    pod = job["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("default", False)
    assert pod["containers"][0]["env"] == [{"name": "MODEL_ROLLBACK_VERSION", "value": "v12"}]


LED_ASTRAY = {"metadata": "169.254.169.254", "loopback": "127.0.0.1", "link-local": "169.254.7.7"}
"""Headless Services whose only pod claims an address that nobody may be led to."""

ASTRAY = {
    "metadata": "resolves to 169.254.169.254, a cloud metadata address, which is not asked",
    "loopback": "resolves to 127.0.0.1, a loopback address, which is not asked",
    "link-local": "resolves to 169.254.7.7, a link-local address, which is not asked",
    "outside": "is an ExternalName, which leads out of the namespace",
    "anywhere": "selects no pods, so it may lead anywhere",
    "nowhere": 'services "nowhere" not found',
    "other-port": "has no port 81; it has 80",
    "neighbour": "is not in the operator's setting probes.allowedHosts",
    "rebound": "resolves to 127.0.0.1, a loopback address, which is not asked",
    "moved": "answered 302 (redirects are not followed)",
}
"""Probes that lead, or would lead, elsewhere; and what is said of them."""

ODD_HOSTS = (
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:a9fe:a9fe]",
    "localhost",
)


def _pod_at(name: str) -> systems.Manifest:
    """A pod that no scheduler and no kubelet takes, so that its status stays what a test writes."""
    containers = [{"name": "server", "image": "registry.example/server:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"leads": name}},
        "spec": {"schedulerName": "nobody", "containers": containers},
    }


def _astray(world: World, allowed_port: int) -> list[dict[str, Any]]:
    def service(name: str, **spec: Any) -> systems.Manifest:
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}

    port = [{"port": 80}]
    world.apply(
        service("outside", type="ExternalName", externalName="metadata.google.internal"),
        service("anywhere", ports=port),
        service("other-port", ports=port, selector={"app": "recommender"}),
    )
    for name, ip in LED_ASTRAY.items():
        world.apply(service(name, clusterIP="None", selector={"leads": name}), _pod_at(name))
        ready = {"podIP": ip, "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": "True"}]}
        writing.patch(
            world.kubectl, "pod", name, {"status": ready}, namespace=world.namespace, subresource="status"
        )
    asked: dict[str, dict[str, Any]] = {
        **{name: {"service": name, "port": 80} for name in LED_ASTRAY},
        "outside": {"service": "outside", "port": 80},
        "anywhere": {"service": "anywhere", "port": 80},
        "nowhere": {"service": "nowhere", "port": 80},
        "other-port": {"service": "other-port", "port": 81},
        "neighbour": {"host": "recommender.another-namespace.svc", "port": 8080},
        "rebound": {"host": "rebound.example.com", "port": allowed_port},
        "moved": {"service": "recommender", "port": 8080, "path": "/moved"},
    }
    return [{"name": name, "http": http} for name, http in asked.items()]


def test_no_address_can_be_written_as_a_host(world: World) -> None:
    for host in ODD_HOSTS:
        probe = {"name": "odd", "http": {"host": host, "port": 80}}
        with pytest.raises(AssertionError, match=r"validation\.probes\[0\]\.http\.host"):
            world.patch("rollbackpolicy", {"validation": {"probes": [probe]}})


def test_what_fails_or_cannot_be_asked_keeps_a_rollback_from_being_called_proved(
    probed: World, httpserver: HTTPServer, elsewhere: HTTPServer, write_log: Callable[[str], None]
) -> None:
    httpserver.expect_request("/").respond_with_json({"model_version": "v13"})
    metadata = "http://169.254.169.254/latest/meta-data/"
    httpserver.expect_request("/moved").respond_with_data("", 302, {"Location": metadata})
    wanted = [*probes(probed, **{"sim/result": "fail"}), *_astray(probed, elsewhere.port)]
    elsewhere.expect_request("/").respond_with_data("fine")
    _break_with(probed, wanted, onFailure="Escalate")
    write_log(f"oom in {probed.namespace}")

    halted = probed.wait_for_rollback("Halted", is_("True", "ValidationFailed"))
    probed.wait_until_told("Escalated", "Rollback", "ModelDeployment", "RollbackPolicy", "Deployment")

    assert "answers: " in halted["message"]
    assert "serves 'v13', expected 'v12'" in halted["message"]
    answers = {p["probe"]: p for p in probed.rollback()["status"]["validation"]}
    assert answers["engagement"]["state"] == "Unknown"  # nobody exports it
    for name, why in ASTRAY.items():
        assert answers[name]["state"] == ("Failed" if name == "moved" else "Unknown")
        assert why in answers[name]["message"], name
    [(once, _)] = elsewhere.log
    assert once.host.startswith("rebound.example.com"), (
        "while its name led where it may lead, and never again"
    )
    assert (answers["ready"]["state"], answers["recovered"]["state"]) == ("Passed", "Passed")
    failed = {name for name, p in answers.items() if p["state"] == "Failed"}
    assert "answers" in failed
    assert failed <= {"answers", "quiet", "smoke", "moved"}
    assert probed.rollback()["status"].get("result", "") == ""
    assert systems.image_of("v12") == probed.image()
