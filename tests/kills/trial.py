"""One breach in a namespace of its own, with something that goes wrong on the way, and what is left of it."""

import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pykube
import requests

from tests.scenario import systems
from tests.support.api_proxy import ApiProxy, Request
from tests.support.cluster import Cluster
from tests.support.commands import Helm, Kubectl
from tests.support.identity import service_account_kubeconfig
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess, Operators, grant_rights
from tests.support.waiting import wait_until

OURS = "modelrollback.dev/v1alpha1"
PATIENCE = 180.0
"""Seconds for each leg of a trial: generous, because the machine may be busy with other things."""
QUIET_TICKS = 3
LOOK_SECONDS = 0.25
_EVALUATIONS = "model_rollback_evaluations_total"


@dataclass(frozen=True)
class Ground:
    """What the trials of a run share."""

    cluster: Cluster
    kubectl: Kubectl
    helm: Helm
    folder: Path


@dataclass(frozen=True)
class Aftermath:
    """Everything that the oracle looks at, as the API server says it, and the journal of mutating requests."""

    rollbacks: list[dict[str, Any]]
    system: dict[str, Any]
    policy: dict[str, Any]
    deployment: dict[str, Any]
    revisions: list[dict[str, Any]]
    requests: list[Request] = field(repr=False)


class Fault(Protocol):
    """What goes wrong."""

    def arm(self, proxy: ApiProxy) -> None:
        """Called before the operator starts."""

    def happen(self, trial: "Trial") -> None:
        """Called in a thread of its own as soon as the operator has been started; returns when it is over."""

    @property
    def begun(self) -> bool:
        """Whether its moment has come."""


class FaultDidNotHappenError(AssertionError):
    """The run was over before the fault's moment came."""


class Trial:
    """`run` plays one breach to its end. `operator` is the process that runs now."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.namespace = f"kill-{uuid.uuid4().hex[:8]}"
        self._folder = ground.folder / self.namespace
        self._folder.mkdir()
        self._api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(ground.cluster.kubeconfig)))
        self._started: list[OperatorProcess] = []
        self._quiet_since: tuple[OperatorProcess | None, int, float] = (None, 0, 0.0)
        self._operators: Operators
        self._through_proxy: Path

    @property
    def operator(self) -> OperatorProcess:
        """The process started last."""
        return self._started[-1]

    def start_operator(self) -> None:
        """A new process; nobody waits for it here."""
        self._started.append(self._operators.start(kubeconfig=self._through_proxy, wait=False))

    def logs(self, lines: int = 60) -> str:
        """The last lines of each operator's log."""
        tails = (
            (process.log.name, process.log.read_text(errors="replace").splitlines()[-lines:])
            for process in self._started
        )
        return "\n".join(f"--- {name}\n" + "\n".join(tail) for name, tail in tails)

    def run(self, fault: Fault | None = None) -> Aftermath:
        """v12 becomes Verified, v13 is deployed and is bad, the operator does what it does, `fault` happens once.

        Returns when the Rollback is finished, the fault is over and some more ticks have found nothing to do.

        Raises:
            FaultDidNotHappenError: the run was over first.
        """
        with self._prepared() as proxy:
            if fault is not None:
                fault.arm(proxy)
            self.start_operator()
            happening = _Happening(fault, self)
            self._until(lambda: self._has_verified("v12"), happening, "v12 to be Verified")
            self._ground.kubectl.apply(systems.deployment("v13"), namespace=self.namespace)
            self._until(lambda: self._is_quiet(proxy), happening, "the Rollback to be finished, and quiet")
            if fault is not None:
                if not fault.begun:
                    raise FaultDidNotHappenError(f"the moment of {fault} never came")
                self._until(lambda: happening.over, happening, f"{fault} to be over")
                self._until(lambda: self._is_quiet(proxy), happening, f"quiet after {fault}")
            return self._aftermath(proxy)

    @contextmanager
    def _prepared(self) -> Iterator[ApiProxy]:
        kubectl, helm = self._ground.kubectl, self._ground.helm
        with ExitStack() as stack:
            kubectl("create", "namespace", self.namespace)
            stack.callback(kubectl, "delete", "namespace", self.namespace, "--wait=false")
            grant_rights(helm, kubectl, self.namespace)
            kubeconfig = service_account_kubeconfig(kubectl, self.namespace, SERVICE_ACCOUNT, self._folder)
            kubectl.apply(
                [systems.deployment("v12"), _model_deployment(), _policy(self.namespace)],
                namespace=self.namespace,
            )
            proxy = stack.enter_context(ApiProxy(kubeconfig))
            self._through_proxy = proxy.write_kubeconfig(self._folder / "proxy.kubeconfig")
            self._operators = Operators(
                kubeconfig, self.namespace, self._ground.cluster.prometheus_url, self._folder
            )
            stack.callback(self._end_operators)
            yield proxy

    def _end_operators(self) -> None:
        for process in self._started:
            process.kill()

    def get(self, version: str, url: str) -> dict[str, Any]:
        """One object or list of the namespace, as the administrator sees it."""
        answer = self._api.get(version=version, namespace=self.namespace, url=url, timeout=20)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _has_verified(self, version: str) -> bool:
        status = self.get(OURS, "modeldeployments/recommender").get("status", {})
        return (status.get("currentVersion"), status.get("lastVerifiedVersion")) == (version, version)

    def _is_quiet(self, proxy: ApiProxy) -> bool:
        """The Rollback is finished, the lock is cleared, and the operator of now has ticked on since its last write."""
        process, writes = self.operator, len(proxy.requests)
        *known, since = self._quiet_since
        if known != [process, writes] or since == 0 or not self._is_finished():
            self._quiet_since = (process, writes, self._evaluations(process))
            return False
        return self._evaluations(process) >= since + QUIET_TICKS

    def _is_finished(self) -> bool:
        status = self.get(OURS, "modeldeployments/recommender").get("status", {})
        found = self.get(OURS, "rollbacks")["items"]
        return (
            bool(found)
            and not status.get("activeRollback")
            and all(r.get("status", {}).get("result") for r in found)
        )

    def _until(self, look: Callable[[], bool], happening: "_Happening", describe: str) -> None:
        def looked() -> bool:
            happening.complain()
            code = self.operator.process.poll()
            if code not in {None, -signal.SIGKILL}:
                raise RuntimeError(f"the operator ended by itself with code {code}")
            return look()

        wait_until(
            looked, PATIENCE, describe=f"{describe} ({self.namespace})", retry_on=(), every=LOOK_SECONDS
        )

    def _evaluations(self, process: OperatorProcess) -> float:
        """0 while it has not started, and when it has been killed."""
        with suppress(requests.ConnectionError, AssertionError):
            return process.metric(_EVALUATIONS)
        return 0.0

    def _aftermath(self, proxy: ApiProxy) -> Aftermath:
        return Aftermath(
            rollbacks=self.get(OURS, "rollbacks")["items"],
            system=self.get(OURS, "modeldeployments/recommender"),
            policy=self.get(OURS, "rollbackpolicies/recommender"),
            deployment=self.get("apps/v1", "deployments/recommender"),
            revisions=self.get("apps/v1", "controllerrevisions")["items"],
            requests=list(proxy.requests),
        )


class _Happening:
    """The fault in its thread; an error in it is raised in the trial's own thread."""

    def __init__(self, fault: Fault | None, trial: Trial) -> None:
        self._error: BaseException | None = None
        self.over = fault is None
        if fault is not None:
            threading.Thread(target=self._run, args=(fault, trial), name="fault", daemon=True).start()

    def _run(self, fault: Fault, trial: Trial) -> None:
        try:
            fault.happen(trial)
        except BaseException as error:  # noqa: BLE001 - it is raised where the trial waits
            self._error = error
        else:
            self.over = True

    def complain(self) -> None:
        if self._error is not None:
            raise self._error


def _model_deployment() -> systems.Manifest:
    return systems.model_deployment(stabilizeFor="0s", verifiedAfter="1s")


def _policy(namespace: str) -> systems.Manifest:
    """No cooldown: if a second Rollback does not come, that is because the breach is answered."""
    return systems.policy(
        namespace,
        validation={"settle": "0s", "duration": "1s"},
        guards={"cooldown": "0s"},
        execution={"stepTimeout": "120s"},
    )
