"""The configuration files of the node's programs, as text."""

import json
from pathlib import Path
from typing import Any

from .layout import Layout
from .network import Network
from .requirements import CNI_PROGRAMS

PAUSE = "localcluster.internal/pause:1"
"""Image of the container that holds a pod's namespaces."""


def containerd(layout: Layout) -> str:
    """TOML. Its state is in /run, which the node has for itself.

    restrict_oom_score_adj: without CAP_SYS_RESOURCE, which containers and virtual machines often lack, runc dies.
    """
    return f"""\
version = 2
root = "{layout.folder / "containerd"}"
state = "/run/containerd"
[grpc]
address = "{layout.socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PROGRAMS}"
conf_dir = "{layout.folder / "cni"}"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{layout.registries}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def cni(network: Network) -> str:
    """A cable and a route for each pod: no bridge, so no packet passes where kube-proxy's rules do not see it."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [{"type": "ptp", "ipMasq": False, "ipam": addresses}]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}, indent=2)


def kubelet(layout: Layout, authority: Path) -> str:
    """KubeletConfiguration; only the API server, which has a certificate of `authority`, may call the kubelet.

    Of the node's limits nothing is kept back and nobody is evicted: the machine belongs to others as well.
    """
    never = (
        "memory.available",
        "nodefs.available",
        "nodefs.inodesFree",
        "imagefs.available",
        "imagefs.inodesFree",
    )
    settings: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "evictionHard": dict.fromkeys(never, "0%"),
        "imageGCHighThresholdPercent": 100,
        "podLogsDir": str(layout.folder / "pod-logs"),
        "volumePluginDir": str(layout.folder / "volume-plugins"),
        "resolvConf": str(layout.folder / "resolv.conf"),
    }
    return json.dumps(settings, indent=2)


def kube_proxy(layout: Layout, network: Network, name: str) -> str:
    """KubeProxyConfiguration; `conntrack` zero: those limits are the machine's, not the namespace's."""
    settings: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": name,
        "clientConnection": {"kubeconfig": str(layout.kubeconfig)},
        "clusterCIDR": network.pods,
        "detectLocalMode": "ClusterCIDR",
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
    return json.dumps(settings, indent=2)


def kubeconfig(server: str, pki: Path) -> str:
    """Kubeconfig of the node's programs: the administrator's certificate, as the whole cluster is a test's own."""
    cluster = {"server": server, "certificate-authority": str(pki / "ca.crt")}
    user = {"client-certificate": str(pki / "admin.crt"), "client-key": str(pki / "admin.key")}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "node", "user": user}],
        "contexts": [{"name": "node", "context": {"cluster": "cluster", "user": "node"}}],
        "current-context": "node",
    }
    return json.dumps(content, indent=2)
