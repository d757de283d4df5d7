"""The example model server as the demo runs it: its two models, its process, its users and its manifests."""

import json
import os
import re
import sys
from dataclasses import dataclass

import requests
import yaml

from .sandbox import ROOT, Sandbox, ask

NAMESPACE = "shop"
NAME = "recommender"
SERVICE_PORT = 8080
JUDGED_FROM = 100
"""Labelled answers from which on the model server exports an accuracy (its `--minimum-samples`)."""

_EXAMPLE = ROOT / "examples/model-server"
_DEPLOY = _EXAMPLE / "deploy"
_POLICY = "RollbackPolicy"


@dataclass(frozen=True)
class Served:
    """What the users got in a row of labelled answers."""

    versions: frozenset[str]
    answers: int
    right: int

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1; 0 without answers."""
        return self.right / self.answers if self.answers else 0.0


class Recommender:
    """One model server and its users in a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(_EXAMPLE),
            "PYTHONUNBUFFERED": "1",
        }
        self.url = ""

    @property
    def address(self) -> str:
        """Host and port of the model server."""
        return self.url.removeprefix("http://")

    def train(self, *, swap_files: bool) -> list[str]:
        """Writes both model files; answers one line about each. `swap_files`: each gets the other's name."""
        output = self._sandbox.file("artifacts")
        said = ask(
            *(sys.executable, "-m", "model_server.train", "--output", output), environment=self._environment
        )
        if swap_files:
            good, bad, aside = (output / "models" / name for name in ("v12.npz", "v13.npz", "aside"))
            good.rename(aside)
            bad.rename(good)
            aside.rename(bad)
        return [line.removeprefix(f"{output}/models/") for line in said.splitlines()]

    def start(self) -> None:
        """Starts the process that serves what the Deployment's ready pods name, and lets Prometheus scrape it."""
        self._sandbox.start(
            "model server",
            "model_server",
            *("--deployment", f"{NAMESPACE}/{NAME}"),
            *("--models", self._sandbox.file("artifacts") / "models"),
            *("--minimum-samples", str(JUDGED_FROM)),
            environment={**self._environment, "KUBECONFIG": str(self._sandbox.place.kubeconfig)},
        )
        log = self._sandbox.log("model server")
        self.url = self._sandbox.until(
            lambda: next(iter(re.findall(r"^listening on (\S+)$", log.read_text(), re.MULTILINE)), ""),
            "the model server to listen",
        )
        self._sandbox.scrape(NAME, self.address)

    def start_users(self) -> None:
        """Starts the traffic: 50 images a second, and the true label of each a moment later."""
        self._sandbox.start(
            "traffic",
            "model_server.traffic",
            self.url,
            *("--held-out", self._sandbox.file("artifacts") / "held-out.npz"),
            *("--log", self._sandbox.file("answers.jsonl")),
            environment=self._environment,
        )

    def deploy(self, version: str) -> None:
        """Applies the manifest of a version; the Service that is in one of them is applied with either."""
        objects = {
            (found["kind"], found["metadata"]["name"]): found
            for name in ("v12", "v13", version)
            for found in yaml.safe_load_all((_DEPLOY / f"{NAME}-{name}.yaml").read_text())
        }
        self._apply(list(objects.values()))

    def protect(self, *, with_policy: bool) -> None:
        """Applies the ModelDeployment, and its policy unless that is to be left out."""
        objects = yaml.safe_load_all((_DEPLOY / "policy.yaml").read_text())
        self._apply([found for found in objects if with_policy or found["kind"] != _POLICY])

    def threshold(self) -> float:
        """The accuracy below which the example's policy calls the model bad."""
        objects = yaml.safe_load_all((_DEPLOY / "policy.yaml").read_text())
        policy = next(found for found in objects if found["kind"] == _POLICY)
        return float(policy["spec"]["triggers"][0]["breach"]["threshold"])

    def serving(self) -> str:
        """The version that answers over HTTP now; empty when none does."""
        try:
            answer = requests.get(f"{self.url}/v1/health", timeout=5)
        except requests.RequestException:
            return ""
        return str(answer.json().get("model_version", "")) if answer.ok else ""

    def latest_answers(self, count: int) -> Served:
        """What the users got in their last `count` labelled answers."""
        return _served(self._answers()[-count:])

    def answers_of(self, version: str) -> Served:
        """All labelled answers that one version gave."""
        return _served([each for each in self._answers() if each["model_version"] == version])

    def _answers(self) -> list[dict[str, object]]:
        log = self._sandbox.file("answers.jsonl")
        lines = log.read_text().split("\n")[:-1] if log.exists() else []  # the last one may be half written
        return [json.loads(line) for line in lines]

    def _apply(self, objects: list[dict[str, object]]) -> None:
        self._sandbox.kubectl(
            "apply", "--namespace", NAMESPACE, "--filename=-", stdin=yaml.safe_dump_all(objects)
        )


def _served(answers: list[dict[str, object]]) -> Served:
    return Served(
        versions=frozenset(str(each["model_version"]) for each in answers),
        answers=len(answers),
        right=sum(each["prediction"] == each["label"] for each in answers),
    )
