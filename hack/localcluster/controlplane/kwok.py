"""Has kwokctl create the control plane from the built programs, and tells when it can be used."""

import json
import os
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import loopback
from .errors import LocalClusterError
from .places import SOURCE
from .ports import listening
from .processes import MARK, identify
from .record import Record
from .toolset import KUBERNETES

_BINARIES = {
    "etcdBinary": "etcd",
    "kubeApiserverBinary": "kube-apiserver",
    "kubeControllerManagerBinary": "kube-controller-manager",
    "kubeSchedulerBinary": "kube-scheduler",
    "kubectlBinary": "kubectl",
    "kwokControllerBinary": "kwok",
}
_EXTRA_ARGUMENTS: dict[str, dict[str, str]] = {
    # The data of a test cluster need not survive a power failure, nor be written to a file ten times a second.
    "etcd": {"unsafe-no-fsync": "true", "backend-batch-interval": "1s"},
    # Without it the log is rotated away at 100 MB. Nobody looks at how many objects of each kind etcd has.
    "kube-apiserver": {"audit-log-maxsize": "4096", "etcd-count-metric-poll-period": "0"},
    # One of each runs: elections would only delay the start and fill the audit log.
    "kube-controller-manager": {"leader-elect": "false"},
    "kube-scheduler": {"leader-elect": "false"},
}
SELDOM_COLLECTED = {"GOGC": "400", "GOMEMLIMIT": "4GiB"}
"""Go's settings for the cluster's programs: more memory and less processor time. Those of the caller come first.

The limit is far above what tests need: an API server with the objects of a large fleet would do nothing but collect.
"""
_WITHOUT_PLAYED_NODES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Components beside a real node: kwok's controller would play its pods."""


@dataclass(frozen=True)
class RealNode:
    """What the control plane must know about a node that is not played by kwok."""

    api_server_arguments: Mapping[str, str]
    api_server_addresses: Sequence[str]
    """Where the node and its pods find the API server; its certificate must name them."""


def configuration(record: Record, *, disable_qps_limits: bool, real_node: RealNode | None = None) -> str:
    """The file for `kwokctl --config`: options, then our Stages, as one stream of YAML documents."""
    options: dict[str, Any] = {
        "runtime": "binary",
        "kubeVersion": f"v{KUBERNETES}",
        "bindAddress": "127.0.0.1",
        "kubeAuditPolicy": str(SOURCE / "audit-policy.yaml"),
        "disableQPSLimits": disable_qps_limits,
    }
    options |= {option: str(record.programs / program) for option, program in _BINARIES.items()}
    options |= {f"{name}Port": port for name, port in record.ports.items() if name != "prometheus"}
    extra = dict(_EXTRA_ARGUMENTS)
    if real_node:
        options["kubeApiserverCertSANs"] = list(real_node.api_server_addresses)
        extra["kube-apiserver"] = {**extra["kube-apiserver"], **real_node.api_server_arguments}
        options["components"] = list(_WITHOUT_PLAYED_NODES)
    patches = [
        {"name": component, "extraArgs": [{"key": key, "value": value} for key, value in arguments.items()]}
        for component, arguments in extra.items()
    ]
    head = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options,
        "componentsPatches": patches,
    }
    stages = (SOURCE / "stages.yaml").read_text(encoding="utf-8").replace("@POD_LOG@", str(record.pod_log))
    return f"{json.dumps(head, indent=2)}\n---\n{stages}"


def environment(record: Record) -> Mapping[str, str]:
    """Environment of kwokctl and all that it starts; KWOK_* of the caller must not change the cluster."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("KWOK_")}
    own.pop("KUBECONFIG", None)
    path = f"{record.programs}{os.pathsep}{own.get('PATH', os.defpath)}"
    mine = {"KWOK_WORKDIR": str(record.folder / "kwok"), MARK: str(record.folder), "PATH": path}
    return SELDOM_COLLECTED | own | mine


def _run(record: Record, *arguments: str | Path) -> None:
    """Run kwokctl in a session of its own, so that Ctrl-C reaches only us; fail as soon as a component dies.

    kwokctl itself would go on waiting for two minutes.
    """
    with log_path(record).open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [record.programs / "kwokctl", *arguments], cwd=record.folder, env=environment(record),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    while process.poll() is None:
        refuse_dead_components(record)
        time.sleep(0.05)
    if process.returncode != 0:
        msg = f"`kwokctl {arguments[0]} {arguments[1]}` ended with exit code {process.returncode}"
        raise LocalClusterError(msg)


def refuse_dead_components(record: Record) -> None:
    """Raise when a component that kwokctl started has ended."""
    for file in record.kwok_folder.glob("pids/*.pid"):
        pid = file.read_text(encoding="ascii")
        if pid and identify(int(pid)) is None:
            msg = f"{file.stem} ended right after its start"
            raise LocalClusterError(msg)


def log_path(record: Record) -> Path:
    """File with what kwokctl says."""
    return record.folder / "logs" / "kwokctl.log"


def create(record: Record, *, disable_qps_limits: bool, real_node: RealNode | None = None) -> None:
    """Start etcd, the API server, controller-manager, scheduler and kwok; add one played node if none is real."""
    config = record.folder / "kwokctl.yaml"
    text = configuration(record, disable_qps_limits=disable_qps_limits, real_node=real_node)
    config.write_text(text, encoding="utf-8")
    record.pod_log.write_text(
        "2026-01-01T00:00:00.000000000Z stdout F no container runs here\n", encoding="utf-8"
    )
    linked = record.folder / "kubeconfig.linked"
    _run(record, "create", "cluster", "--name", record.name, "--kubeconfig", linked, "--config", config)
    if real_node is None:
        _run(record, "scale", "node", "--name", record.name, "--replicas", "1")
    _write_kubeconfig(record, linked)


def _write_kubeconfig(record: Record, linked: Path) -> None:
    """Put the certificates into the kubeconfig itself, so that a copy of the file is complete."""
    kubectl = record.programs / "kubectl"
    flat = subprocess.run(
        [kubectl, "config", "view", "--raw", "--flatten", f"--kubeconfig={linked}"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    linked.unlink()
    record.kubeconfig.touch(mode=0o600)
    record.kubeconfig.write_text(flat.stdout, encoding="utf-8")


def usable(record: Record, *, played: bool = True) -> bool:
    """Tell whether pods can be created, scheduled and become ready.

    For that the API server is ready, the controller-manager has made the default ServiceAccount, a node is
    ready, and the scheduler listens, and so does kwok where it plays the node.
    """
    pki = record.kwok_folder / "pki"
    server = f"https://127.0.0.1:{record.ports['kubeApiserver']}"
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    for path in ("/readyz", "/api/v1/namespaces/default/serviceaccounts/default"):
        if loopback.get(server + path, context=context) is None:
            return False
    nodes = json.loads(loopback.get(f"{server}/api/v1/nodes", context=context) or "{}").get("items", [])
    conditions = [condition for node in nodes for condition in node["status"].get("conditions", ())]
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    ports = ("kubeScheduler", "kwokController") if played else ("kubeScheduler",)
    return ready and all(listening(record.ports[name]) for name in ports)
