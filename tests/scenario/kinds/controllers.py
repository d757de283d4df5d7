"""Plays the controllers of third-party kinds: writes the status that a script says, when the spec has changed.

There are three ways to answer a revert: `ready` at once; `slow` first leaves the old status standing (a lie: Ready, but
of the old generation), then is on its way, then ready; `failing` gives up. Whatever is written before and after that is
ready at once.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

from tests.support import writing
from tests.support.commands import CommandError, Kubectl

Object = dict[str, Any]
LIE, PROGRESS = 1.0, 2.5
"""Seconds after a revert: until then the old status stands; until then it is on its way."""


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(type_: str, status: bool, message: str = "") -> Object:
    return {
        "type": type_,
        "status": str(status),
        "reason": "Scripted",
        "message": message,
        "lastTransitionTime": now(),
    }


def inference_service(state: str) -> Object:
    model = {
        "ready": ("UpToDate", "Loaded"),
        "progress": ("InProgress", "Loaded"),
        "failed": ("BlockedByFailedLoad", "FailedToLoad"),
    }[state]
    failure = {"message": "no such bucket", "time": now()} if state == "failed" else None
    return {
        "conditions": [condition("Ready", status=True)],  # kserve#1859: Ready whatever happens
        "modelStatus": {
            "transitionStatus": model[0],
            "states": {"activeModelState": model[1]},
            "lastFailureInfo": failure,
        },
    }


def ray_service(state: str) -> Object:
    upgrading = condition("UpgradeInProgress", status=state == "progress")
    return {"conditions": [condition("Ready", status=state != "failed", message=state), upgrading]}


def seldon_model(state: str) -> Object:
    return {"conditions": [condition("ModelReady", status=state == "ready", message=state)]}


def rollout(state: str) -> Object:
    phase = {"ready": "Healthy", "progress": "Progressing", "failed": "Degraded"}[state]
    progressing = {"type": "Progressing", "status": "True", "lastUpdateTime": now()}
    return {"phase": phase, "message": f"scripted {state}", "conditions": [progressing]}


def classifier(state: str) -> Object:
    status = {"ready": True, "progress": None, "failed": False}[state]
    return {"conditions": [] if status is None else [condition("Serving", status, "no GPU left")]}


def index(state: str) -> Object:
    return {"state": {"ready": "Serving", "progress": "Loading", "failed": "Broken"}[state]}


STATUS: dict[str, Callable[[str], Object]] = {
    "InferenceService": inference_service,
    "RayService": ray_service,
    "Rollout": rollout,
    "Model": seldon_model,
    "Classifier": classifier,
    "Index": index,
}
KINDS = "inferenceservices,rayservices,models.mlops.seldon.io,rollouts,classifiers,indices"


class Controllers:
    """One thread for all of them. `ready_at`: when each object was first said to be ready after its revert."""

    def __init__(self, kubectl: Kubectl, namespace: str, scripts: dict[str, str]) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._scripts = scripts
        self._seen: dict[str, tuple[int, float]] = {}
        self._said: dict[str, tuple[int, str]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="controllers", daemon=True)
        self.reverting = False
        self.ready_at: dict[str, datetime] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(0.3):
            try:
                for obj in self._kubectl.json("get", KINDS, namespace=self._namespace)["items"]:
                    self._reconcile(obj)
            except CommandError as error:
                print(f"controllers: {error}")

    def _reconcile(self, obj: Object) -> None:
        name, generation = obj["metadata"]["name"], obj["metadata"]["generation"]
        if self._seen.get(name, (0, 0.0))[0] != generation:
            self._seen[name] = (generation, time.monotonic())
        state = self._state(name, time.monotonic() - self._seen[name][1])
        if state == "lie" or self._said.get(name) == (generation, state):
            return
        status = STATUS[obj["kind"]](state)
        observed = str(generation) if obj["kind"] == "Rollout" else generation
        if state == "ready" and self.reverting:
            self.ready_at.setdefault(name, datetime.now(UTC))
        change = {"status": {**status, "observedGeneration": observed}}
        kind = f"{obj['kind'].lower()}.{obj['apiVersion'].partition('/')[0]}"
        writing.patch(self._kubectl, kind, name, change, namespace=self._namespace, subresource="status")
        self._said[name] = (generation, state)

    def _state(self, name: str, age: float) -> str:
        script = self._scripts.get(name, "ready")
        generation = self._seen[name][0]
        if not self.reverting or generation < 3:  # created, made worse, put back
            return "ready"
        if script == "failing":
            return "failed" if generation == 3 else "ready"
        return "lie" if age < LIE else "progress" if age < PROGRESS else "ready"
