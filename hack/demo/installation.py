"""The operator: installed by helm, and run as a process with the installed ServiceAccount's token and nothing else."""

import json
import os

import requests
import yaml

from .recommender import NAME, NAMESPACE, SERVICE_PORT
from .sandbox import ROOT, Sandbox

RELEASE = "rollback"
OPERATOR_NAMESPACE = "model-rollback"
FULL_NAME = f"{RELEASE}-model-rollback-operator"

_CHART = ROOT / "charts/model-rollback-operator"


def install(sandbox: Sandbox, model_server: str) -> None:
    """`helm install` of the chart. `model_server`: address (host:port) at which the Service is reached from here."""
    values = {
        "metricsSources": {"default": {"url": sandbox.place.prometheus_url, "timeout": "2s"}},
        "probes": {"resolve": [f"{NAME}.{NAMESPACE}.svc:{SERVICE_PORT}={model_server}"]},
    }
    sandbox.helm(
        *("install", RELEASE, _CHART, "--namespace", OPERATOR_NAMESPACE, "--create-namespace"),
        *("--values=-", "--wait", "--timeout=100s"),
        stdin=yaml.safe_dump(values),
    )


def run(sandbox: Sandbox) -> str:
    """Starts the operator on the installed configuration; answers as whom the API server knows it.

    Its environment holds the kubeconfig with the token and the port for health checks, and no home directory.
    """
    installed = sandbox.kubectl(
        *("get", "configmap", FULL_NAME, "--namespace", OPERATOR_NAMESPACE, "--output=json")
    )
    configuration = sandbox.file("operator.yaml")
    configuration.write_text(json.loads(installed)["data"]["config.yaml"])
    kubeconfig = _write_kubeconfig(sandbox)
    sandbox.start(
        "operator",
        "model_rollback",
        *("--config", configuration),
        environment={
            "PATH": os.environ.get("PATH", os.defpath),
            "KUBECONFIG": str(kubeconfig),
            "MODEL_ROLLBACK_HTTP__HOST": "127.0.0.1",
            "MODEL_ROLLBACK_HTTP__PORT": "0",
        },
    )
    sandbox.until(lambda: _is_ready(sandbox), "the operator to be ready")
    return sandbox.kubectl(
        *("--kubeconfig", kubeconfig, "auth", "whoami", "--output=jsonpath={.status.userInfo.username}")
    )


def _write_kubeconfig(sandbox: Sandbox) -> str:
    """A kubeconfig whose only credential is the token; good for a day, as a kept demo may be."""
    token = sandbox.kubectl(
        *("create", "token", FULL_NAME, "--namespace", OPERATOR_NAMESPACE, "--duration=24h")
    ).strip()
    cluster = yaml.safe_load(sandbox.kubectl("config", "view", "--minify", "--flatten", "--raw"))["clusters"][
        0
    ]
    path = sandbox.file("operator.kubeconfig")
    path.touch(mode=0o600)
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "cluster", "cluster": cluster["cluster"]}],
                "users": [{"name": "operator", "user": {"token": token}}],
                "contexts": [{"name": "operator", "context": {"cluster": "cluster", "user": "operator"}}],
                "current-context": "operator",
            }
        )
    )
    return str(path)


def _is_ready(sandbox: Sandbox) -> bool:
    for line in sandbox.log("operator").read_text(errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("event") == "operator started":
            try:
                return requests.get(f"http://127.0.0.1:{said['port']}/readyz", timeout=5).ok
            except requests.ConnectionError:
                return False
    return False
