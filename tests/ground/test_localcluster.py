"""What `hack/localcluster` brings up is a real cluster, and nothing of it stays."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from hack.localcluster.controlplane import building
from hack.localcluster.controlplane.places import SOURCE, cluster_dir
from pytest_kind import KindCluster

from tests.ground.localcluster import COMMAND, run, running_in, sleeping, started
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def fresh_name() -> str:
    return f"ground-{uuid.uuid4().hex[:6]}"


class Local:
    """One cluster as a user sees it: through what `localcluster env` gives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.env: dict[str, str] = json.loads(run("env", name, "--json").stdout)
        self.folder = Path(self.env["LOCALCLUSTER_DIR"])
        self.url = self.env["PROMETHEUS_URL"]

    def kubectl(self, *arguments: str) -> str:
        return subprocess.check_output(
            ["kubectl", *arguments],
            env=os.environ | self.env,
            text=True,
            stderr=subprocess.STDOUT,
            timeout=60,
        )

    def query(self, query: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of an instant query."""
        parameters = {"query": query} | ({"time": str(at)} if at else {})
        answer = requests.get(f"{self.url}/api/v1/query", params=parameters, timeout=10).json()
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]

    def write_history(self, *metrics: dict) -> None:
        """POST metrics as OTLP JSON, each sample with a time of its own."""
        body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": list(metrics)}]}]}
        answer = requests.post(f"{self.url}/api/v1/otlp/v1/metrics", json=body, timeout=10)
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def up() -> Iterator[Callable[..., Local]]:
    """Brings clusters up that end with this module."""
    names = []

    def bring_up(*arguments: str) -> Local:
        names.append(fresh_name())
        done = run("up", names[-1], *arguments)
        assert done.returncode == 0, done.stderr
        return Local(names[-1])

    yield bring_up
    for name in names:
        run("down", name)


@pytest.fixture(scope="module")
def local(up) -> Local:
    return up("--owner", str(os.getpid()))


@pytest.fixture
def web(local) -> str:
    """A Deployment of two replicas, rolled out."""
    name = f"web-{uuid.uuid4().hex[:6]}"
    local.kubectl("create", "deployment", name, "--image=web:v1", "--replicas=2")
    local.kubectl("rollout", "status", f"deployment/{name}", "--timeout=30s")
    return name


def test_programs_say_the_versions_that_they_were_built_from(local):
    assert json.loads(local.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"] == "v1.36.3"
    environment = os.environ | local.env
    for command, version in {
        "helm version --template={{.Version}}": "v4.3.1",
        "prometheus --version": "prometheus, version 3.12.0",
        "kwok --version": "v0.8.0",
        "etcd --version": "etcd Version: 3.6.",
        "kubectl version --client": "v1.36.3",
    }.items():
        assert version in subprocess.check_output(command.split(), env=environment, text=True)


def test_a_deployment_rolls_out(local, web):
    replicas = local.kubectl("get", "deployment", web, "--output=jsonpath={.status.readyReplicas}")

    assert replicas == "2"


def test_a_broken_image_never_gets_ready_and_undo_mends_it(local, web):
    local.kubectl("set", "image", f"deployment/{web}", "web=web-broken:v2")
    wait_until(lambda: "CrashLoopBackOff" in local.kubectl("get", "pods", f"--selector=app={web}"))
    with pytest.raises(subprocess.CalledProcessError):
        local.kubectl("rollout", "status", f"deployment/{web}", "--timeout=1s")

    local.kubectl("rollout", "undo", f"deployment/{web}")

    assert "successfully rolled out" in local.kubectl(
        "rollout", "status", f"deployment/{web}", "--timeout=30s"
    )


def test_jobs_end_as_they_are_told(local):
    for result in ("succeed", "fail"):
        template = {
            "metadata": {"annotations": {"sim/result": result}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "train", "image": "train:v1"}]},
        }
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": result},
            "spec": {"backoffLimit": 0, "template": template},
        }
        file = local.folder / f"{result}.json"
        file.write_text(json.dumps(job))
        local.kubectl("apply", f"--filename={file}")

    assert "condition met" in local.kubectl(
        "wait", "--for=condition=Complete", "job/succeed", "--timeout=30s"
    )
    assert "condition met" in local.kubectl("wait", "--for=condition=Failed", "job/fail", "--timeout=30s")


def test_pods_have_a_log(local, web):
    line = f"hello from {web}"
    with Path(local.env["LOCALCLUSTER_POD_LOG"]).open("a") as log:
        log.write(f"2026-01-01T00:00:00.000000000Z stdout F {line}\n")

    assert line in local.kubectl("logs", f"deployment/{web}")


def test_the_audit_log_tells_who_wrote_what(local, web):
    def creations() -> list[dict]:
        lines = Path(local.env["LOCALCLUSTER_AUDIT_LOG"]).read_text().splitlines()
        return [
            event
            for event in map(json.loads, lines)
            if event["verb"] == "create"
            and event["objectRef"]["resource"] == "deployments"
            and event["objectRef"]["name"] == web
        ]

    [event] = wait_until(creations, accept=lambda found: len(found) == 1)

    assert event["stage"] == "ResponseComplete"
    assert event["userAgent"].startswith("kubectl/")
    assert event["requestObject"]["spec"]["replicas"] == 2
    assert event["responseStatus"]["code"] == 201


def test_a_scrape_job_that_is_added_is_scraped(local):
    path = Path(local.env["LOCALCLUSTER_PROMETHEUS_CONFIG"])
    config = json.loads(path.read_text())
    target = local.url.removeprefix("http://")
    job = {"job_name": "itself", "static_configs": [{"targets": [target]}]}
    path.write_text(json.dumps(config | {"scrape_configs": [job]}))

    requests.post(f"{local.url}/-/reload", timeout=10).raise_for_status()

    wait_until(lambda: local.query("up"), accept=lambda found: [value for _labels, value in found] == [1.0])


def test_history_can_be_written_and_is_there_at_once(local):
    now = int(time.time())
    labels = [{"key": "model", "value": {"stringValue": "m"}}]

    def points(seconds_ago: range) -> list[dict]:
        return [
            {"timeUnixNano": f"{now - ago}000000000", "asDouble": ago, "attributes": labels}
            for ago in seconds_ago
        ]

    local.write_history({"name": "error_ratio", "gauge": {"dataPoints": points(range(600, 0, -15))}})
    counter = {"aggregationTemporality": 2, "isMonotonic": True}
    local.write_history(
        {"name": "error_ratio", "gauge": {"dataPoints": points(range(3600, 600, -15))}},
        {
            "name": "requests_total",
            "sum": counter | {"dataPoints": points(range(20 * 86400, 20 * 86400 - 60, -15))},
        },
    )

    assert local.query("error_ratio", now - 1800) == [({"__name__": "error_ratio", "model": "m"}, 1800.0)]
    assert local.query("count_over_time(error_ratio[1h])", now) == [({"model": "m"}, 239.0)]
    assert local.query("requests_total", now - 20 * 86400) == [
        ({"__name__": "requests_total", "model": "m"}, 20.0 * 86400)
    ]


def test_clusters_side_by_side_are_apart_and_one_goes_when_its_owner_was_killed(local, up):
    with sleeping() as owner:
        other = up("--owner", str(owner.pid))
        other.kubectl("create", "namespace", "only-here")
        assert "only-here" not in local.kubectl("get", "namespaces")
        assert other.url != local.url
        assert running_in(other.folder)

        owner.kill()

    wait_until(lambda: not other.folder.exists())
    wait_until(lambda: running_in(other.folder) == [], describe="the watchdog itself to end")
    assert local.folder.exists()


def test_ctrl_c_while_a_cluster_starts_leaves_nothing(tmp_path):
    name = fresh_name()
    log = tmp_path / "up.log"
    with started("up", name, log=log) as starting:
        wait_until(lambda: list(cluster_dir(name).glob("kwok/clusters/*/pids/etcd.pid")), timeout=60)

        starting.send_signal(signal.SIGINT)

        assert starting.wait(timeout=60) == 130
    assert not cluster_dir(name).exists()
    assert running_in(cluster_dir(name)) == []
    assert "nothing is left behind" in log.read_text()


def test_a_port_that_was_taken_meanwhile_is_replaced(local):
    taken = json.loads((local.folder / "cluster.json").read_text())["ports"]["kubeApiserver"]
    program = f"""
import sys
from hack.localcluster.controlplane import cli, clusters, record
choose, tries = clusters.choose, []
def choose_badly_once(count, used):
    tries.append(choose(count, used))
    if len(tries) == 1:
        tries[0][record.PORT_NAMES.index('kubeApiserver')] = {taken}
    return tries[-1]
clusters.choose = choose_badly_once
sys.exit(cli.main(sys.argv[1:]))
"""
    name = fresh_name()
    try:
        done = run("up", name, front=(sys.executable, "-c", program), PYTHONPATH=str(SOURCE.parent.parent))
        assert done.returncode == 0, done.stderr
        kept = re.search(r"a port was taken meanwhile \(logs: (\S+)\)", done.stderr)
        assert kept is not None, done.stderr
        assert "address already in use" in Path(kept[1], "kube-apiserver.log").read_text()
        shutil.rmtree(kept[1])
        assert "default" in Local(name).kubectl("get", "namespaces")
    finally:
        run("down", name)


def test_pytest_kind_runs_on_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = fresh_name()
    made = KindCluster(name, kind_path=SOURCE / "kind", kubectl_path=building.built() / "kubectl")
    try:
        made.create()
        made.load_docker_image("model:v1")
        assert "node-000000" in made.kubectl("get", "nodes")
        assert Local(name).env["LOCALCLUSTER_CONTEXT"] == f"kwok-{name}"
        with contextlib.closing(made.api.session):
            assert made.api.version == ("1", "36")
    finally:
        made.delete()
    assert not cluster_dir(name).exists()


def test_up_of_a_name_that_is_there_is_refused_and_harms_nothing(local):
    done = run("up", local.name)

    assert done.returncode == 1
    assert f"there is a cluster {local.name} already, owned by process {os.getpid()}" in done.stderr
    assert "kube-system" in local.kubectl("get", "namespaces")


def test_the_shell_can_evaluate_env(local):
    script = 'eval "$("$@")" && kubectl config current-context && printf %s "$PROMETHEUS_URL"'
    said = subprocess.check_output(["sh", "-c", script, "sh", *COMMAND, "env", local.name], text=True)

    assert said.splitlines() == [f"kwok-{local.name}", local.url]
