"""Brings a cluster up, and describes the ones there are."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import kwok, prometheus, watchdog
from .console import elapsed, say
from .errors import LocalClusterError
from .interruption import Interrupted, uninterrupted
from .locks import locked
from .places import cluster_dir, lock_path
from .ports import choose
from .processes import Identity, require_identity
from .realnode import node
from .record import PORT_NAMES, Record, all_records, load
from .removal import keep_logs, name_lock, reap, remove

_READY_WITHIN = 60.0
"""Seconds after which a cluster that is still not usable counts as failed."""
_COLLISION = "address already in use"


@dataclass(frozen=True)
class Wanted:
    """What `up` is asked for. `owner`: the cluster lives as long as it; None: until `down`."""

    name: str
    programs: Path
    owner: Identity | None
    prometheus: bool = True
    disable_qps_limits: bool = False
    node_programs: Path | None = None
    """Folder with kubelet, kube-proxy and pause for a node that runs containers; None: kwok plays the node."""


class _PortTaken(LocalClusterError):
    """Another program took a port between its choice and its use."""


def up(wanted: Wanted) -> Record:
    """Start a cluster and return when pods can be made ready in it and Prometheus answers."""
    if not hasattr(os, "pidfd_open"):
        msg = "local clusters need Linux; elsewhere use kind with a Docker engine, or name a cluster by KUBECONFIG"
        raise LocalClusterError(msg)
    started = time.monotonic()
    reap()
    folder = cluster_dir(wanted.name)
    if wanted.node_programs:
        node.require(folder)
    with locked(
        name_lock(wanted.name), waiting=f"another process changes cluster {wanted.name}, waiting for it"
    ):
        _refuse_existing(folder)
        try:
            record = _start(wanted, folder)
        except _PortTaken as error:
            say(f"{error}; trying once more with other ports")
            record = _start(wanted, folder)
    say(f"cluster {wanted.name} is ready after {elapsed(time.monotonic() - started)}")
    return record


def _refuse_existing(folder: Path) -> None:
    if not folder.exists():
        return
    record = load(folder)
    holder = f"owned by process {record.owner.pid}" if record and record.owner else "kept until `down`"
    msg = (
        f"there is a cluster {folder.name} already, {holder}: choose another name, "
        f"or run `localcluster down {folder.name}` first"
    )
    raise LocalClusterError(msg)


def _start(wanted: Wanted, folder: Path) -> Record:
    """One try: all processes and the folder are gone again when it fails or is interrupted."""
    try:
        record = _reserve(wanted, folder)
        if record.owner:
            watchdog.start(record)
        metrics = prometheus.start(record) if record.prometheus else None
        machine = node.start(record, wanted.node_programs) if wanted.node_programs else None
        kwok.create(
            record, disable_qps_limits=wanted.disable_qps_limits, real_node=_real_node(record, machine)
        )
        if machine:
            node.admit(record)
        _wait_until_usable(record, metrics, machine)
        record = record.ready()
        record.save()
    except (KeyboardInterrupt, Interrupted):
        with uninterrupted():
            remove(folder)
        raise
    except (LocalClusterError, OSError, subprocess.SubprocessError) as error:
        with uninterrupted():
            raise _give_up(folder, error) from error
    return record


def _reserve(wanted: Wanted, folder: Path) -> Record:
    """Make the folder and the record with its ports; one process at a time chooses, so none is given twice."""
    with locked(lock_path("ports"), waiting="another process chooses ports, waiting for it"):
        taken = {port for other in all_records() for port in other.ports.values()}
        record = Record(
            name=wanted.name,
            folder=folder,
            programs=wanted.programs,
            owner=wanted.owner,
            creator=require_identity(os.getpid()),
            ports=dict(zip(PORT_NAMES, choose(len(PORT_NAMES), taken), strict=True)),
            prometheus=wanted.prometheus,
        )
        folder.mkdir(parents=True)
        record.save()
    (folder / "logs").mkdir()
    return record


def _real_node(record: Record, machine: subprocess.Popen[bytes] | None) -> kwok.RealNode | None:
    if machine is None:
        return None
    return kwok.RealNode(node.api_server_arguments(record), node.api_server_addresses(record))


def _wait_until_usable(
    record: Record, metrics: subprocess.Popen[bytes] | None, machine: subprocess.Popen[bytes] | None
) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while not (
        kwok.usable(record, played=machine is None) and (metrics is None or prometheus.answers(record))
    ):
        kwok.refuse_dead_components(record)
        if machine:
            node.refuse_ended(machine)
        if metrics and metrics.poll() is not None:
            msg = f"Prometheus ended with exit code {metrics.returncode}"
            raise LocalClusterError(msg)
        if time.monotonic() > deadline:
            msg = f"cluster {record.name} was not usable within {_READY_WITHIN:.0f} s"
            raise LocalClusterError(msg)
        time.sleep(0.05)


def _give_up(folder: Path, error: Exception) -> LocalClusterError:
    logs = keep_logs(folder)
    remove(folder)
    said = [log.read_text(encoding="utf-8", errors="replace") for log in logs.glob("*.log")]
    if any(_COLLISION in text for text in said):
        return _PortTaken(f"{error}: a port was taken meanwhile (logs: {logs})")
    return LocalClusterError(f"cluster {folder.name} did not start: {error}. Its logs are kept in {logs}")


def running(name: str) -> Record:
    """The ready cluster `name`."""
    record = load(cluster_dir(name))
    if record is None or record.state != "ready":
        have = ", ".join(other.name for other in all_records() if other.state == "ready") or "none"
        msg = f"no cluster {name} is ready (ready: {have}): run `localcluster up {name}`"
        raise LocalClusterError(msg)
    return record


def environment(record: Record) -> Mapping[str, str]:
    """What to export so that kubectl, helm and tests use this cluster."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    programs = str(record.programs)
    exports = {
        "KUBECONFIG": str(record.kubeconfig),
        "PATH": os.pathsep.join([programs, *(folder for folder in path if folder != programs)]),
        "LOCALCLUSTER_NAME": record.name,
        "LOCALCLUSTER_DIR": str(record.folder),
        "LOCALCLUSTER_BIN": programs,
        "LOCALCLUSTER_CONTEXT": f"kwok-{record.name}",
        "LOCALCLUSTER_AUDIT_LOG": str(record.audit_log),
        "LOCALCLUSTER_POD_LOG": str(record.pod_log),
    }
    if record.prometheus:
        exports["PROMETHEUS_URL"] = record.prometheus_url
        exports["LOCALCLUSTER_PROMETHEUS_CONFIG"] = str(record.prometheus_config)
    if machine := node.machine_address(record):
        exports["LOCALCLUSTER_MACHINE_ADDRESS"] = machine
    return exports
