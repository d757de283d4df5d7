"""`make demo`: bring a cluster up, show that it lives, take it down again; Ctrl-C at any moment does the latter too."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import requests
from rich.console import Console

LOCALCLUSTER = Path(__file__).resolve().parent / "localcluster/localcluster"
DEPLOYMENT = "recommender"

console = Console(highlight=False)


class Tools:
    """The programs of one running cluster."""

    def __init__(self, name: str) -> None:
        about = json.loads(ask(LOCALCLUSTER, "env", name, "--json"))
        self._kubectl = Path(ask(LOCALCLUSTER, "bin").strip()) / "kubectl"
        self._environment = {**os.environ, "KUBECONFIG": about["KUBECONFIG"]}
        self._prometheus = about["PROMETHEUS_URL"]

    def kubectl(self, *words: str) -> str:
        return ask(self._kubectl, *words, environment=self._environment)

    def prometheus_version(self) -> str:
        """What Prometheus says about itself."""
        answer = requests.get(f"{self._prometheus}/api/v1/status/buildinfo", timeout=10)
        answer.raise_for_status()
        version: str = answer.json()["data"]["version"]
        return version


def ask(program: Path, *words: str, environment: dict[str, str] | None = None) -> str:
    """Run a program and return its stdout; its stderr goes to the terminal."""
    return subprocess.run(
        [program, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def show(tools: Tools) -> None:
    """Nodes, a rollout, the API server and Prometheus, each asked of the real thing."""
    nodes = json.loads(tools.kubectl("get", "nodes", "--output=json"))["items"]
    console.print(f"Nodes (played by kwok): {', '.join(node['metadata']['name'] for node in nodes)}")

    started = time.monotonic()
    tools.kubectl("create", "deployment", DEPLOYMENT, "--image=recommender:v12", "--replicas=2")
    tools.kubectl("rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=60s")
    console.print(f"A Deployment of two replicas rolled out in {time.monotonic() - started:.1f} s:\n")
    console.print(tools.kubectl("get", "deployments,replicasets,pods"), soft_wrap=True)

    server = json.loads(tools.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    console.print(f"API server {server}, Prometheus {tools.prometheus_version()}\n")


def main() -> int:
    """Answer 0, 1 when something failed, 130 after Ctrl-C."""
    name = f"demo-{os.getpid()}"
    code = 0
    try:
        started = time.monotonic()
        ask(LOCALCLUSTER, "up", name)
        console.print(
            f"\nA real Kubernetes API server and Prometheus, up in {time.monotonic() - started:.1f} s\n"
        )
        show(Tools(name))
    except subprocess.CalledProcessError as error:
        console.print(f"The demo stops: `{' '.join(map(str, error.cmd))}` ended with code {error.returncode}")
        code = 1
    except requests.RequestException as error:
        console.print(f"The demo stops: Prometheus does not answer: {error}")
        code = 1
    except KeyboardInterrupt:
        code = 130
    finally:
        subprocess.run([LOCALCLUSTER, "down", name], check=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
