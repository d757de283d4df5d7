"""What the fixture adds to real kind, as far as it can be shown without a Docker engine."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import yaml
from pytest_kind import KindCluster

from tests.support import places, real_kind
from tests.support.last_will import last_will
from tests.support.waiting import wait_until


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """An empty folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def shared(tmp_path, monkeypatch) -> real_kind.Shared:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return real_kind.Shared("tested")


def program(file: Path, script: str) -> Path:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


# --- where the cluster runs ---


def test_auto_is_kind_only_where_an_engine_answers(path):
    assert places.decide("auto") == "local"

    program(path / "kind", "exit 0")
    program(path / "docker", "echo no engine >&2; exit 1")
    assert places.decide("auto") == "local"

    program(path / "docker", "exit 0")
    assert places.decide("auto") == "kind"
    assert places.decide("local") == "local"


def test_kind_is_refused_with_what_is_missing(path):
    with pytest.raises(places.PlaceError, match=r"--cluster-in=kind: `kind` is not on PATH; see docs/"):
        places.decide("kind")

    program(path / "kind", "exit 0")
    with pytest.raises(places.PlaceError, match="--cluster-in=kind: no Docker engine answers"):
        places.decide("kind")


def test_the_page_that_refusals_name_is_there():
    assert (places.ROOT / places.KIND_HOW_TO).is_file()


# --- what kind is told ---


def test_the_api_server_writes_its_audit_log_where_the_tests_read_it(shared):
    shared.write(Path("kwok"))

    cluster = yaml.safe_load(shared.configuration.read_text())
    (node,) = cluster["nodes"]
    assert node["extraMounts"][0] == {"hostPath": str(shared.folder), "containerPath": real_kind.IN_NODE}
    old, new = map(json.loads, cluster["kubeadmConfigPatches"])
    assert (old["apiVersion"], new["apiVersion"]) == ("kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta4")
    log = f"{real_kind.IN_NODE}/{shared.audit_log.name}"
    assert old["apiServer"]["extraArgs"]["audit-log-path"] == log
    assert {"name": "audit-log-path", "value": log} in new["apiServer"]["extraArgs"]
    assert shared.audit_log.stat().st_uid == os.getuid()
    assert f"{real_kind.IN_NODE}/{shared.pod_log.name}" in (shared.folder / "stages.yaml").read_text()


def test_a_cluster_that_others_made_is_not_touched(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kind = program(tmp_path / "kind", f'[ "$*" = "get clusters" ] && echo tested || touch {tmp_path}/touched')

    with pytest.raises(places.PlaceError, match="--use-context=kind-tested"):
        real_kind.bring_up(KindCluster("tested", tmp_path / "kubeconfig", kind_path=kind), Path("kwok"))

    assert not (tmp_path / "touched").exists()


def test_a_cluster_that_cannot_be_created_leaves_no_folder(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kind = program(tmp_path / "kind", '[ "$1" = get ] || exit 7')

    with pytest.raises(places.PlaceError, match=r"ended with code 7.*where no image registry answers, see"):
        real_kind.bring_up(KindCluster("tested", tmp_path / "kubeconfig", kind_path=kind), Path("kwok"))

    assert not shared.folder.exists()


# --- a killed run ---


def test_what_a_killed_process_left_behind_is_removed(tmp_path):
    done = tmp_path / "done"
    script = (
        "import sys, time; from tests.support.last_will import last_will\n"
        "with last_will(f'touch {sys.argv[1]}'): print('ready', flush=True); time.sleep(300)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, done], cwd=places.ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert not done.exists()
        process.send_signal(signal.SIGKILL)

    wait_until(done.exists, 60)


@pytest.mark.cluster
def test_a_killed_process_leaves_no_prometheus(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from tests.support.prometheus_process import running_prometheus\n"
        "with running_prometheus(Path(sys.argv[1]), Path(sys.argv[2])) as (url, _):\n"
        "    print(url, flush=True); time.sleep(300)"
    )
    command = [sys.executable, "-c", script, places.binaries() / "prometheus", tmp_path]
    with subprocess.Popen(command, cwd=places.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert requests.get(f"{url}/-/ready", timeout=30).ok
        process.send_signal(signal.SIGKILL)

    wait_until(lambda: not answers(url), 60, describe="the end of Prometheus")


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_nothing_is_done_for_a_process_that_took_its_own_things_down(tmp_path):
    with last_will(f"touch {tmp_path}/done"):
        pass

    assert not (tmp_path / "done").exists()
