"""One breach in a namespace of its own, with something that goes wrong on the way, and what is left of it."""

import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import requests

from tests.kills import systems
from tests.support.administrator import Administrator
from tests.support.api_proxy import ApiProxy, Request
from tests.support.audit import Audit, AuditEvent
from tests.support.cluster import Cluster
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess, Operators, rights_in
from tests.support.waiting import wait_until

OURS = "modelrollback.dev/v1alpha1"
PATIENCE = 300.0
"""Seconds for each leg of a trial: generous, because the machine may be busy with other things."""
QUIET_TICKS = 3
LOOK_SECONDS = 0.5
_EVALUATIONS = "model_rollback_evaluations_total"
_LEADER = "model_rollback_leader"

Succession = Literal["restart", "takeover"]
"""Who goes on after a kill: a new process, or a second replica that stood by."""


@dataclass(frozen=True)
class Ground:
    """What the trials of a run share. `rights`: the chart's, for a namespace that `ANY_NAMESPACE` stands for."""

    cluster: Cluster
    rights: str
    folder: Path
    audit: Audit


@dataclass(frozen=True)
class Aftermath:
    """Everything that the oracle looks at: the objects, the journal of mutating requests, and the audit log.

    `deployments`: by name. `audit`: what the operator's ServiceAccount wrote, Events and Leases left out.
    """

    rollbacks: list[dict[str, Any]]
    system: dict[str, Any]
    policy: dict[str, Any]
    deployments: dict[str, dict[str, Any]]
    revisions: list[dict[str, Any]]
    requests: list[Request] = field(repr=False)
    audit: list[AuditEvent] = field(repr=False)


class Fault(Protocol):
    """What goes wrong."""

    succession: Succession

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
    """`run` plays one breach to its end. `operator` is the process that decides now.

    `over`: the Rollback was finished and nothing more was written; what has not happened until then will not.
    """

    def __init__(self, ground: Ground, succession: Succession = "restart") -> None:
        self._ground = ground
        self._succession = succession
        self.namespace = f"kill-{uuid.uuid4().hex[:8]}"
        self._folder = ground.folder / self.namespace
        self._folder.mkdir()
        self._admin = Administrator(ground.cluster.kubeconfig, self.namespace)
        self._started: list[OperatorProcess] = []
        self._quiet_since: tuple[OperatorProcess | None, int, float] = (None, 0, 0.0)
        self._operators: Operators
        self._through_proxy: Path
        self.over = threading.Event()

    @property
    def operator(self) -> OperatorProcess:
        """The process that lives; of several the one that leads, and while none does the oldest.

        On a busy machine a leader that is alive loses its Lease now and then, and the standby goes on.
        """
        living = [p for p in self._started if p.process.poll() is None]
        leading = (p for p in living if len(living) > 1 and self._metric(p, _LEADER) == 1)
        return next(leading, (living or self._started[-1:])[0])

    def succeed(self, *, stand_by: bool = False) -> None:
        """Somebody goes on after a kill: a new process, unless one stands by. Nobody waits for a new one here.

        `stand_by`: once the one that stood by leads, another one stands by for a further kill.
        """
        if all(process.process.poll() is not None for process in self._started):
            self._start()
        elif stand_by:
            wait_until(self._leads, PATIENCE, describe=f"the other replica to lead ({self.namespace})")
            self._start()

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
        mark = self._ground.audit.mark()
        with self._prepared() as proxy:
            if fault is not None:
                fault.arm(proxy)
            self._start()
            if self._succession == "takeover":
                # The first one leads: the one that is killed shall be the one that writes.
                wait_until(self._leads, PATIENCE, describe=f"the first replica to lead ({self.namespace})")
                self._start()
            happening = _Happening(fault, self)
            self._until(lambda: self._has_verified("v12"), happening, "v12 to be Verified")
            self._admin.apply(*systems.deployments("v13"))
            self._until(lambda: self._is_quiet(proxy), happening, "the Rollback to be finished, and quiet")
            self.over.set()
            if fault is not None:
                if not fault.begun:
                    raise FaultDidNotHappenError(f"the moment of {fault} never came")
                self._until(lambda: happening.over, happening, f"{fault} to be over")
                self._until(lambda: self._is_quiet(proxy), happening, f"quiet after {fault}")
            return self._aftermath(proxy, mark)

    @contextmanager
    def _prepared(self) -> Iterator[ApiProxy]:
        with ExitStack() as stack:
            # The namespace is not deleted: that costs more than the trial, and the cluster ends with the test run.
            # Its pods are, because a node holds 110 of them.
            self._admin.create_namespace()
            stack.callback(self._admin.delete_workloads)
            self._admin.apply(*rights_in(self.namespace, self._ground.rights))
            kubeconfig = self._admin.write_kubeconfig(SERVICE_ACCOUNT, self._folder)
            self._admin.apply(
                *systems.deployments("v12"), systems.model_deployment(), systems.policy(self.namespace)
            )
            proxy = stack.enter_context(ApiProxy(kubeconfig))
            self._through_proxy = proxy.write_kubeconfig(self._folder / "proxy.kubeconfig")
            self._operators = Operators(
                kubeconfig, self.namespace, self._ground.cluster.prometheus_url, self._folder
            )
            stack.callback(self._end_operators)
            stack.callback(self.over.set)
            yield proxy

    def _start(self) -> None:
        elects = self._succession == "takeover"
        self._started.append(self._operators.start(kubeconfig=self._through_proxy, elects=elects, wait=False))

    def _end_operators(self) -> None:
        for process in self._started:
            process.kill()

    def get(self, version: str, url: str) -> dict[str, Any]:
        """One object or list of the namespace, as the administrator sees it."""
        return self._admin.get(version, url)

    def _has_verified(self, version: str) -> bool:
        status = self.get(OURS, "modeldeployments/recommender").get("status", {})
        return (status.get("currentVersion"), status.get("lastVerifiedVersion")) == (version, version)

    def _is_quiet(self, proxy: ApiProxy) -> bool:
        """The Rollback is finished, the lock is cleared, and the operator of now has ticked on since its last write."""
        process, writes = self.operator, sum(not is_lease(r) for r in proxy.requests)
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
            codes = {process.process.poll() for process in self._started} - {None, -signal.SIGKILL}
            if codes:
                raise RuntimeError(f"an operator ended by itself with code {codes}")
            return look()

        wait_until(
            looked, PATIENCE, describe=f"{describe} ({self.namespace})", retry_on=(), every=LOOK_SECONDS
        )

    def _leads(self) -> bool:
        return self._metric(self.operator, _LEADER) == 1

    def _evaluations(self, process: OperatorProcess) -> float:
        return self._metric(process, _EVALUATIONS)

    def _metric(self, process: OperatorProcess, name: str) -> float:
        """0 while it has not started, and when it has been killed."""
        with suppress(requests.RequestException, AssertionError):
            return process.metric(name)
        return 0.0

    def _aftermath(self, proxy: ApiProxy, mark: int) -> Aftermath:
        user = f"system:serviceaccount:{self.namespace}:{SERVICE_ACCOUNT}"
        written = self._ground.audit.writes_since(mark, user=user)
        return Aftermath(
            rollbacks=self.get(OURS, "rollbacks")["items"],
            system=self.get(OURS, "modeldeployments/recommender"),
            policy=self.get(OURS, "rollbackpolicies/recommender"),
            deployments={
                name: self.get("apps/v1", f"deployments/{name}") for name in systems.COMPONENTS.values()
            },
            revisions=self.get("apps/v1", "controllerrevisions")["items"],
            requests=[r for r in proxy.requests if not is_lease(r)],
            audit=[e for e in written if e.resource not in {"events", "leases"}],
        )


def is_lease(request: Request) -> bool:
    """Renewals come at the pace of the clock: they are no moments of a rollback."""
    return request.resource == "leases"


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
