"""Real kind made fit for the tests: the API server's audit log is a file here, and kwok plays their pods.

The node shares a folder with this machine. kwok runs in it as a unit of its systemd, so whatever ends the node ends
kwok as well; it plays a second node, and the real one takes no pods of the tests, whose images exist nowhere.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from pytest_kind import KindCluster

from tests.support.places import KIND_HOW_TO, LOCALCLUSTER, PlaceError
from tests.support.waiting import wait_until

IN_NODE = "/model-rollback"
"""Where the node has the shared folder."""
KWOK_IN_NODE = "/usr/local/bin/kwok"
KWOK_PORT = 10247
FENCE = "node-role.kubernetes.io/control-plane"
"""The taint that kind takes from a single node; what belongs to the cluster itself tolerates it."""


class Shared:
    """The folder that the node of the cluster `name` shares with this machine; it lives as long as the cluster."""

    def __init__(self, name: str) -> None:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
        self.folder = state / "model-rollback/kind" / name
        self.audit_log = self.folder / "audit.log"
        self.pod_log = self.folder / "pod.log"
        self.configuration = self.folder / "kind.yaml"

    def write(self, kwok: Path) -> None:
        """Begin it anew, with all that `kind create cluster` and the node read."""
        self.remove()
        self.folder.mkdir(parents=True, mode=0o700)
        policy = LOCALCLUSTER.parent / "audit-policy.yaml"
        stages = (LOCALCLUSTER.parent / "stages.yaml").read_text()
        shutil.copy(policy, self.folder / policy.name)
        (self.folder / "stages.yaml").write_text(
            stages.replace("@POD_LOG@", f"{IN_NODE}/{self.pod_log.name}")
        )
        self.audit_log.touch()  # ours, so that we may read what the API server, as root, appends
        self.pod_log.write_text("2026-01-01T00:00:00.000000000Z stdout F no container runs here\n")
        self.configuration.write_text(json.dumps(self._cluster(kwok), indent=2))

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _cluster(self, kwok: Path) -> dict[str, Any]:
        """kind's configuration (v1alpha4); JSON is YAML."""
        mounts = [
            {"hostPath": str(self.folder), "containerPath": IN_NODE},
            {"hostPath": str(kwok.resolve()), "containerPath": KWOK_IN_NODE, "readOnly": True},
        ]
        return {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{"role": "control-plane", "extraMounts": mounts}],
            "kubeadmConfigPatches": [
                json.dumps(self._kubeadm(version)) for version in ("v1beta3", "v1beta4")
            ],
        }

    def _kubeadm(self, version: str) -> dict[str, Any]:
        """A patch for that version; kind chooses the version by that of Kubernetes, and the other patch is unused."""
        audit = {
            "audit-policy-file": f"{IN_NODE}/audit-policy.yaml",
            "audit-log-path": f"{IN_NODE}/{self.audit_log.name}",
            "audit-log-maxsize": "4096",  # without it the log is rotated away at 100 MB
        }
        etcd = {"unsafe-no-fsync": "true"}  # the data of a test cluster need not survive a power failure

        def arguments(values: dict[str, str]) -> Any:
            if version == "v1beta3":
                return values
            return [{"name": name, "value": value} for name, value in values.items()]

        volume = {"name": "model-rollback", "hostPath": IN_NODE, "mountPath": IN_NODE, "readOnly": False}
        return {
            "kind": "ClusterConfiguration",
            "apiVersion": f"kubeadm.k8s.io/{version}",
            "apiServer": {"extraArgs": arguments(audit), "extraVolumes": [volume]},
            "etcd": {"local": {"extraArgs": arguments(etcd)}},
        }


def bring_up(cluster: KindCluster, kwok: Path) -> None:
    """Create the cluster unless it was kept by an earlier run; pods can be created in it afterwards."""
    shared = Shared(cluster.name)
    kind = str(cluster.kind_path)
    if cluster.name in subprocess.check_output([kind, "get", "clusters"], text=True).split():
        if not shared.configuration.exists():
            raise PlaceError(
                f"there is a kind cluster {cluster.name} already, and these tests have not made it:\n"
                f"choose another --cluster-name, or use it as it is with --use-context=kind-{cluster.name}"
            )
        export = [kind, "export", "kubeconfig", f"--name={cluster.name}"]
        subprocess.run([*export, f"--kubeconfig={cluster.kubeconfig_path}"], check=True)
    else:
        shared.write(kwok)
        try:
            cluster.create(shared.configuration)
        except subprocess.CalledProcessError as error:
            shared.remove()
            raise PlaceError(
                f"`kind create cluster` ended with code {error.returncode}, its words are below; "
                f"where no image registry answers, see {KIND_HOW_TO}"
            ) from None
    play_pods(cluster)


def play_pods(cluster: KindCluster) -> None:
    """Have kwok play a node that takes all pods of the tests, and return when a pod can get ready there."""
    real = f"{cluster.name}-control-plane"
    address = cluster.kubectl(
        "get", "node", real, '--output=jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'
    ).split()[0]
    cluster.kubectl("taint", "node", real, f"{FENCE}=:NoSchedule", "--overwrite")
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "played", "annotations": {"kwok.x-k8s.io/node": "fake"}},
    }
    cluster.kubectl("apply", "--filename=-", input=json.dumps(node))
    pki = "/etc/kubernetes/pki/apiserver"
    kwok = [
        *(KWOK_IN_NODE, "--kubeconfig=/etc/kubernetes/admin.conf", f"--config={IN_NODE}/stages.yaml"),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        *(f"--node-ip={address}", f"--node-port={KWOK_PORT}", f"--server-address=0.0.0.0:{KWOK_PORT}"),
        *(
            f"--tls-cert-file={pki}.crt",
            f"--tls-private-key-file={pki}.key",
            "--node-lease-duration-seconds=40",
        ),
    ]
    unit = ["systemctl", "is-active", "--quiet", "kwok"]
    if subprocess.run(["docker", "exec", real, *unit], check=False).returncode != 0:
        start = ["systemd-run", "--unit=kwok", "--property=Restart=always", *kwok]
        subprocess.run(["docker", "exec", real, *start], check=True, capture_output=True)
    cluster.kubectl("wait", "--for=condition=Ready", "node/played", "--timeout=120s")
    wait_until(
        lambda: "default" in cluster.kubectl("get", "serviceaccounts", "--output=name"),
        120,
        describe="the default ServiceAccount",
    )


def keep_logs(cluster: KindCluster, folder: Path) -> str:
    """Write what the node knows into `folder`; answers with where that is."""
    export = [str(cluster.kind_path), "export", "logs", str(folder), f"--name={cluster.name}"]
    done = subprocess.run(export, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        return f"the logs of {cluster.name} could not be kept: {done.stderr.strip()}"
    shared = Shared(cluster.name)
    for log in (shared.audit_log, shared.configuration):
        shutil.copy(log, folder)
    return f"the logs of {cluster.name} are in {folder}"
