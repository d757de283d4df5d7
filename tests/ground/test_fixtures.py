"""The shared fixtures, each shown on the real thing."""

import json
import socket
import time

import pytest
import requests
import yaml

from tests.support.commands import CommandError
from tests.support.prometheus import QueryError, seconds_ago
from tests.support.waiting import DeadlineExceededError, wait_until

pytestmark = pytest.mark.cluster


def deployment(name: str, *, replicas: int = 1) -> dict:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "server", "image": "model:v1"}]},
            },
        },
    }


def config_map(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


# --- the cluster ---


def test_the_cluster_is_the_one_that_pytest_kind_made(kind_cluster, cluster):
    namespaces = kind_cluster.kubectl("get", "namespaces", "--output=name").split()

    assert "namespace/kube-system" in namespaces
    assert cluster.kubeconfig == kind_cluster.kubeconfig_path


def test_every_test_has_a_namespace_of_its_own(kubectl, namespace):
    phase = kubectl.json("get", "namespace", namespace)["status"]["phase"]
    objects = kubectl("get", "deployments,configmaps", "--output=name", namespace=namespace).split()

    assert phase == "Active"
    assert objects in ([], ["configmap/kube-root-ca.crt"])


# --- kubectl and helm ---


def test_a_deployment_rolls_out(kubectl, namespace):
    kubectl.apply(deployment("web", replicas=2), namespace=namespace)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s", namespace=namespace)

    assert kubectl.json("get", "deployment", "web", namespace=namespace)["status"]["readyReplicas"] == 2


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(config_map("one", key="value"), id="one object"),
        pytest.param([config_map("one", key="value"), config_map("two")], id="several objects"),
        pytest.param(yaml.safe_dump(config_map("one", key="value")), id="yaml text"),
    ],
)
def test_kubectl_applies_what_a_test_has_at_hand(kubectl, namespace, manifest):
    kubectl.apply(manifest, namespace=namespace)

    assert kubectl.json("get", "configmap", "one", namespace=namespace)["data"] == {"key": "value"}


def test_a_failed_command_says_what_the_server_said(kubectl, namespace):
    with pytest.raises(CommandError, match=r'`kubectl .*get pod absent` .*pods "absent" not found') as caught:
        kubectl("get", "pod", "absent", namespace=namespace)

    assert caught.value.code == 1


def test_a_get_without_a_process_says_what_kubectl_says(kubectl, namespace):
    kubectl.apply([config_map("one", key="value"), config_map("two")], namespace=namespace)
    kubectl("label", "configmap", "two", "even=yes", namespace=namespace)

    for words in (
        ["get", "configmaps", "one"],
        ["get", "ConfigMap", "one", "two"],
        ["get", "cm,serviceaccounts"],
        ["get", "configmaps", "-leven"],
        ["get", "deployments.apps"],
        ["get", "namespaces", namespace],
    ):
        printed = json.loads(kubectl(*words, "--output=json", namespace=namespace))
        printed.get("metadata", {}).pop("resourceVersion", None)
        read = kubectl.json(*words, namespace=namespace)
        read.get("metadata", {}).pop("resourceVersion", None)
        assert read == {k: v for k, v in printed.items() if v != {}}, words

    for words in (["get", "pod", "absent"], ["get", "nothing"]):
        with pytest.raises(CommandError) as printed:
            kubectl(*words, "--output=json", namespace=namespace)
        with pytest.raises(CommandError) as read:
            kubectl.json(*words, namespace=namespace)
        assert read.value.stderr.strip() == printed.value.stderr.strip()


def test_helm_installs_a_chart(helm, kubectl, namespace, tmp_path):
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: settings\nversion: 0.1.0\n")
    (chart / "templates/settings.yaml").write_text(yaml.safe_dump(config_map("settings", release="first")))

    helm("install", "first", chart, namespace=namespace)

    assert kubectl.json("get", "configmap", "settings", namespace=namespace)["data"] == {"release": "first"}


# --- Prometheus ---


def test_what_the_test_process_exports_is_scraped(prometheus, namespace):
    exporter = prometheus.exporter(job=namespace)
    accuracy = exporter.gauge("model_accuracy", labels=["model"])

    accuracy.labels(model="v1").set(0.93)
    prometheus.scraped(exporter)
    assert prometheus.value(f'model_accuracy{{job="{namespace}", model="v1"}}') == 0.93

    accuracy.labels(model="v1").set(0.71)
    prometheus.scraped(exporter)
    assert prometheus.value(f'model_accuracy{{job="{namespace}", model="v1"}}') == 0.71


def test_a_scrape_job_ends_with_its_test(prometheus, namespace, cluster):
    exporter = prometheus.exporter(job=namespace)
    port = int(exporter.address.split(":")[1])
    assert namespace in cluster.prometheus_configuration.read_text()

    prometheus.close()

    assert namespace not in cluster.prometheus_configuration.read_text()
    targets = requests.get(f"{prometheus.url}/api/v1/targets?state=active", timeout=30).json()["data"][
        "activeTargets"
    ]
    assert namespace not in {target["labels"]["job"] for target in targets}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_history_is_written_instead_of_waited_out(prometheus, namespace):
    labels = {"namespace": namespace, "model": 'odd "name"\\'}
    now = time.time()

    prometheus.backfill(
        "model_accuracy", labels, [(now - age, 0.90 if age > 150 else 0.60) for age in range(0, 600, 15)]
    )

    query = f'model_accuracy{{namespace="{namespace}"}}'
    (sample,) = prometheus.query(query, now)
    assert sample["metric"] == {"__name__": "model_accuracy", **labels}
    assert prometheus.value(f"max_over_time({query}[2m])", now) == 0.60
    assert prometheus.value(query, now - 300) == 0.90


@pytest.mark.parametrize("age", [3600, 6 * 3600, 7 * 24 * 3600], ids=["an hour", "six hours", "a week"])
def test_history_may_be_old(prometheus, namespace, age):
    at = seconds_ago(age)

    prometheus.backfill("old_metric", {"namespace": namespace}, [(at, 1.5)])

    assert prometheus.value(f'old_metric{{namespace="{namespace}"}}', at + 1) == 1.5


def test_a_refused_query_says_why(prometheus):
    with pytest.raises(QueryError, match="parse error"):
        prometheus.query("sum(")


def test_waiting_for_a_query_ends_at_its_deadline(prometheus, namespace):
    with pytest.raises(
        DeadlineExceededError, match=r"waited 0\.1 s for Prometheus: absent_metric.*last seen: \[\]"
    ):
        prometheus.wait_for(f'absent_metric{{namespace="{namespace}"}}', timeout=0.1)


# --- the audit log ---


def test_the_audit_log_tells_who_wrote_what(audit, kubectl, namespace, service_account_kubeconfig):
    kubectl("create", "serviceaccount", "writer", namespace=namespace)
    kubectl(
        "create",
        "rolebinding",
        "writer",
        "--clusterrole=edit",
        f"--serviceaccount={namespace}:writer",
        namespace=namespace,
    )
    writer = kubectl.as_identity(service_account_kubeconfig(namespace, "writer"))
    mark = audit.mark()

    writer.apply(config_map("mine", key="value"), namespace=namespace)
    writer("get", "configmap", "mine", namespace=namespace)
    kubectl("create", "configmap", "not-mine", namespace=namespace)

    user = f"system:serviceaccount:{namespace}:writer"
    (write,) = audit.writes_since(mark, user=user)
    assert (write.verb, write.resource, write.namespace, write.name, write.code) == (
        "create",
        "configmaps",
        namespace,
        "mine",
        201,
    )
    assert write.user_agent.startswith("kubectl/")
    reads = audit.since(mark, user=user, verb="get", resource="configmaps", user_agent="kubectl/")
    assert {event.name for event in reads} == {"mine"}


def test_a_dry_run_is_not_a_write(audit, kubectl, namespace):
    mark = audit.mark()

    kubectl.apply(config_map("never"), "--dry-run=server", "--server-side", namespace=namespace)

    assert [event for event in audit.since(mark, namespace=namespace, verb="patch") if event.name == "never"]
    assert [event for event in audit.writes_since(mark, namespace=namespace) if event.name == "never"] == []


def test_a_mark_leaves_out_what_was_before(audit, kubectl, namespace):
    kubectl("create", "configmap", "before", namespace=namespace)
    mark = audit.mark()
    kubectl("create", "configmap", "after", namespace=namespace)

    events = audit.since(
        mark, namespace=namespace, resource="configmaps", verb="create", user_agent="kubectl/"
    )

    assert [event.name for event in events if event.user_agent.startswith("kubectl/")] == ["after"]


# --- identities ---


def test_a_service_account_has_only_its_own_rights(kubectl, namespace, service_account_kubeconfig):
    kubectl("create", "serviceaccount", "nobody", namespace=namespace)
    nobody = kubectl.as_identity(service_account_kubeconfig(namespace, "nobody"))

    who = nobody.json("auth", "whoami")["status"]["userInfo"]["username"]
    assert who == f"system:serviceaccount:{namespace}:nobody"
    with pytest.raises(CommandError, match=r"[Ff]orbidden"):
        nobody("get", "secrets", namespace=namespace)


# --- waiting ---


def test_waiting_returns_what_was_waited_for():
    answers = iter([0, 0, 7])

    assert wait_until(lambda: next(answers), 30) == 7


def test_waiting_looks_once_more_even_when_the_deadline_has_passed():
    assert wait_until(lambda: "there", 0) == "there"


def test_waiting_tells_what_was_seen_last():
    with pytest.raises(DeadlineExceededError, match=r"waited 0\.1 s for the answer; last seen: 41"):
        wait_until(lambda: 41, 0.1, accept=lambda seen: seen == 42, describe="the answer")


def test_waiting_does_not_swallow_foreign_errors():
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, 30)
