"""The installed operator as a pod: what the chart promises, kept by a kubelet and a container runtime."""

import json

import requests

from tests.realnode.pods import Shop
from tests.scenario import systems
from tests.support.audit import Audit

INSIDE = """
import errno, json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
try:
    open("/written", "w")
    root = "writable"
except OSError as error:
    root = errno.errorcode[error.errno]
open("/tmp/written", "w").close()
print(json.dumps({
    "uid": os.getuid(),
    "root": root,
    "capabilities": int(status["CapEff"], 16) | int(status["CapPrm"], 16),
    "no_new_privileges": int(status["NoNewPrivs"]),
    "seccomp": int(status["Seccomp"]),
}))
"""
SECCOMP_FILTER = 2


def test_the_container_has_no_root_no_capability_and_nothing_to_write_to(shop: Shop) -> None:
    assert json.loads(shop.operator.python(INSIDE)) == {
        "uid": 65532,
        "root": "EROFS",
        "capabilities": 0,
        "no_new_privileges": 1,
        "seccomp": SECCOMP_FILTER,
    }


def test_the_kubelet_finds_it_started_alive_and_ready_without_a_restart(shop: Shop) -> None:
    pod = shop.operator.pod()

    (status,) = pod["status"]["containerStatuses"]
    assert (status["started"], status["ready"], status["restartCount"]) == (True, True, 0)
    assert "operator started" in shop.operator.log()
    service = shop.world.kubectl.json(
        "get", "service", shop.operator.full_name, namespace=shop.operator.namespace
    )
    answer = requests.get(f"http://{service['spec']['clusterIP']}:8080/readyz", timeout=10)
    assert answer.status_code == requests.codes.ok


def test_it_meets_the_api_server_with_its_own_service_account(shop: Shop, audit: Audit) -> None:
    mark = audit.mark()
    shop.deploy("v12")
    shop.world.apply(systems.model_deployment())
    shop.world.wait_for_version("v12", timeout=120)

    writes = audit.writes_since(mark, user=shop.operator.actor)
    assert {event.resource for event in writes} >= {"modeldeployments"}
    assert {event.namespace for event in writes} == {shop.world.namespace}
    token = shop.operator.python(
        "print(open('/var/run/secrets/kubernetes.io/serviceaccount/namespace').read())"
    )
    assert token == shop.operator.namespace
