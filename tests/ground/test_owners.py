"""Whose a cluster is, and what happens to it when its owner ends: with real processes, and no cluster in them."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hack.localcluster.controlplane import kindfront, ports, processes, removal
from hack.localcluster.controlplane.errors import LocalClusterError
from hack.localcluster.controlplane.places import cluster_dir, logs_kept, state_root
from hack.localcluster.controlplane.processes import MARK, identify
from hack.localcluster.controlplane.record import PORT_NAMES, Record, folders, load

from tests.ground.localcluster import KIND, run, sleeping


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return state_root()


def a_cluster(name: str, owner: int | None, **changes) -> Record:
    """The record and folder of a cluster in which nothing runs yet."""
    folder = cluster_dir(name)
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "etcd.log").write_text("it ran\n")
    record = Record(
        name=name,
        folder=folder,
        programs=folder / "bin",
        owner=identify(owner) if owner else None,
        creator=identify(os.getpid()),
        ports=dict.fromkeys(PORT_NAMES, 1),
        prometheus=True,
        state="ready",
    )
    record = replace(record, **changes)
    record.save()
    return record


def test_a_process_is_known_by_its_start_and_not_by_its_number():
    with sleeping() as process:
        identity = identify(process.pid)
        assert identity is not None
        assert identity.alive()
        assert not replace(identity, started=identity.started - 1).alive(), (
            "an earlier process of this number"
        )
        assert not replace(identity, boot="another").alive()
        process.kill()
        processes.wait_for_end(identity)
        assert not identity.alive(), "a zombie is no owner"


def test_the_nearest_ancestor_that_is_no_shell_acts():
    assert processes.nearest_non_shell_ancestor() > 1


def test_only_processes_that_carry_the_mark_of_the_cluster_are_ended(tmp_path):
    with (
        sleeping(**{MARK: str(tmp_path / "one")}) as member,
        sleeping(**{MARK: str(tmp_path / "one-more")}) as neighbour,
        sleeping(LOCALCLUSTER_DIR=str(tmp_path / "one")) as user,
    ):
        processes.end_members(tmp_path / "one")

        assert member.wait(timeout=10) == -signal.SIGKILL
        assert (neighbour.poll(), user.poll()) == (None, None)


def test_a_cluster_goes_when_its_owner_was_killed():
    with sleeping() as owner:
        record = a_cluster("orphan", owner.pid)
        with sleeping(**{MARK: str(record.folder)}) as member:
            assert removal.reap() == []
            assert member.poll() is None

            owner.kill()
            processes.wait_for_end(record.owner)

            assert removal.reap() == ["orphan"]
            assert member.wait(timeout=10) == -signal.SIGKILL
            assert not record.folder.exists()


def test_a_kept_cluster_stays_until_down():
    record = a_cluster("kept", None)

    assert removal.reap() == []
    assert load(record.folder) == record

    removal.down("kept")
    assert list(folders()) == []


def test_a_cluster_whose_start_was_killed_goes_though_its_owner_lives():
    with sleeping() as creator:
        a_cluster("half", os.getpid(), state="starting", creator=identify(creator.pid))
        assert removal.reap() == []

        creator.kill()
        creator.wait()

        assert removal.reap() == ["half"]


@pytest.mark.parametrize("content", ["", "{}", '{"name": "x"}'], ids=["empty", "no fields", "few fields"])
def test_a_folder_without_a_readable_record_is_a_leftover(content):
    folder = cluster_dir("broken")
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text(content)

    assert removal.reap() == ["broken"]
    assert not folder.exists()


def test_nothing_of_a_removed_cluster_stays(state):
    a_cluster("gone", None)

    removal.down("gone")
    removal.down("gone")

    assert [path for path in state.rglob("*") if path.name != ".locks"] == []


def test_logs_are_kept_on_request_and_only_the_newest(state, capsys):
    for number in range(12):
        a_cluster(f"failed-{number}", None)
        removal.down(f"failed-{number}", with_logs=True)

    kept = sorted(logs_kept().iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
    assert len(kept) == 10
    assert kept[-1].name.startswith("failed-11-")
    assert (kept[-1] / "etcd.log").read_text() == "it ran\n"
    assert json.loads((kept[-1] / "cluster.json").read_text())["name"] == "failed-11"
    assert str(kept[-1]) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "A", "logs-kept", "a" * 41])
def test_a_name_cannot_leave_the_folder_of_clusters(name):
    with pytest.raises(LocalClusterError, match="is no name for a cluster"):
        cluster_dir(name)


def test_ports_in_use_or_promised_are_not_chosen(monkeypatch):
    monkeypatch.setattr(ports, "_LOWEST", 29000)
    monkeypatch.setattr(ports, "_HIGHEST", 31000)
    promised = set(range(29000, 30990))

    chosen = ports.choose(3, promised)

    assert len(set(chosen)) == 3
    assert not promised & set(chosen)
    with pytest.raises(LocalClusterError, match="free ports"):
        ports.choose(3, range(29000, 31000))


def test_env_of_a_cluster_that_is_not_there_says_what_to_do(tmp_path):
    a_cluster("other", None)

    done = run("env", "missing")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "no cluster missing is ready (ready: other): run `localcluster up missing`" in done.stderr


def test_list_names_state_and_owner():
    record = a_cluster("mine", os.getpid())
    a_cluster("kept", None)

    assert run("list").stdout.splitlines() == [
        f"kept\tready\tkept\t{record.folder.parent / 'kept'}",
        f"mine\tready\towner {os.getpid()}\t{record.folder}",
    ]


def test_an_owner_that_does_not_run_is_refused():
    with sleeping() as process:
        process.kill()
        process.wait()
        done = run("up", "late", "--owner", str(process.pid))

    assert done.returncode == 1
    assert "give --owner a living pid, or --keep" in done.stderr


# --- the front for pytest-kind ---


def test_a_test_run_sees_its_own_and_kept_clusters_only():
    a_cluster("mine", os.getpid())
    a_cluster("kept", None)
    with sleeping() as another:
        a_cluster("theirs", another.pid)

        done = run("get", "clusters", front=KIND)

        assert (done.returncode, done.stdout.split()) == (0, ["kept", "mine"])


def test_listing_removes_clusters_of_killed_runs():
    with sleeping() as killed:
        orphan = a_cluster("orphan", killed.pid)
        killed.kill()
        killed.wait()

    done = run("get", "clusters", front=KIND)

    assert (done.returncode, done.stdout) == (0, "")
    assert not orphan.folder.exists()


@pytest.mark.parametrize(
    ("environment", "owner"),
    [
        pytest.param({}, os.getpid(), id="the test run"),
        pytest.param({"LOCALCLUSTER_OWNER": "1"}, 1, id="named"),
        pytest.param({"LOCALCLUSTER_KEEP": "1"}, None, id="kept"),
    ],
)
def test_who_owns_a_cluster_of_a_test_run(environment, owner, monkeypatch):
    test_run = os.getpid()
    monkeypatch.setattr(os, "getppid", lambda: test_run)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    found = kindfront._owner()

    assert (found.pid if found else None) == owner


def test_loading_an_image_says_that_there_is_nothing_to_load():
    done = run("load", "docker-image", "--name", "x", "model:v1", front=KIND)

    assert done.returncode == 0
    assert "no container runs in a local cluster" in done.stderr


def test_a_kind_configuration_is_refused_and_not_ignored(tmp_path):
    done = run("create", "cluster", "--name=x", "--config", str(tmp_path / "kind.yaml"), front=KIND)

    assert done.returncode == 1
    assert "leave --config away" in done.stderr
    assert not Path(cluster_dir("x")).exists()
