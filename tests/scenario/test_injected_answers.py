"""Every bad answer of the API server at every kind of write, each on a system of its own, all at the same time.

The proxy refuses, cuts or swallows one request of each system; whatever the operator makes of it, one rollback happens,
with one write of the target, or it halts with a reason and goes on when a person says Resume.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World
from tests.support.api_proxy import ApiProxy, Held, Request, Stage
from tests.support.commands import Kubectl
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess, Operators
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

PATIENCE = 150
RETRY_AFTER = 4
"""Seconds; longer than the operator waits by itself before it asks again."""


# --- which request ---------------------------------------------------------------------------------------------------


def _status(request: Request) -> Any:
    return next(operation["value"] for operation in request.body if operation["path"] == "/status")


def _is_dry_run(request: Request, system: str) -> bool:
    return request.resource == "deployments" and request.dry_run and request.path.endswith(f"/{system}")


def _is_patch(request: Request, system: str) -> bool:
    return request.resource == "deployments" and not request.dry_run and request.path.endswith(f"/{system}")


def _is_create(request: Request, system: str) -> bool:
    return (request.method, request.resource) == ("POST", "rollbacks") and request.body["spec"][
        "modelDeploymentRef"
    ]["name"] == system


def _is_plan(request: Request, system: str) -> bool:
    return _is_rollback_status_of(request, system) and bool(_status(request).get("procedure"))


def _is_step_running(request: Request, system: str) -> bool:
    """The write that must stand before the patch."""
    return _is_rollback_status_of(request, system) and any(
        step["state"] == "Running" for step in _status(request).get("steps", [])
    )


def _is_rollback_status_of(request: Request, system: str) -> bool:
    return request.resource == "rollbacks/status" and request.path.split("/")[-2].rpartition("-")[0] == system


def _is_lock(request: Request, system: str) -> bool:
    return _is_status_of(request, system) and bool(_status(request).get("activeRollback"))


def _is_release(request: Request, system: str) -> bool:
    return _is_status_of(request, system) and bool(_status(request).get("lastRollbacks"))


def _is_status_of(request: Request, system: str) -> bool:
    return request.resource == "modeldeployments/status" and request.path.split("/")[-2] == system


PLACES: dict[str, Callable[[Request, str], bool]] = {
    "lock": _is_lock,
    "create": _is_create,
    "plan": _is_plan,
    "dryrun": _is_dry_run,
    "step": _is_step_running,
    "patch": _is_patch,
    "release": _is_release,
}


# --- what goes wrong -------------------------------------------------------------------------------------------------


def _refuse(code: int, message: str, **more: Any) -> Callable[[Held], None]:
    return lambda held: held.answer(code, message, **more)


def _say_nothing(held: Held) -> None:
    """The client gives up by its own time-out; what was held before it was forwarded never is."""


FAULTS: dict[str, tuple[Stage, Callable[[Held], None]]] = {
    # what the API server says to a failed `test`, a missing path and a missing parent
    "422-test": ("before", _refuse(422, "the server rejected our request due to an error in our request")),
    "422-schema": ("before", _refuse(422, 'Deployment "x" is invalid', causes=["must be positive"])),
    "404": ("before", _refuse(404, "the server could not find the requested resource")),
    "409": ("before", _refuse(409, "the object has been modified")),
    "429": ("before", _refuse(429, "too many requests, please try again later", retry_after=RETRY_AFTER)),
    "403": ("before", _refuse(403, "operator is not allowed to do that")),
    "500": ("before", _refuse(500, "etcdserver: request timed out")),
    "500-done": ("after", _refuse(500, "etcdserver: request timed out")),
    "unanswered": ("before", _say_nothing),
    "lost": ("after", Held.drop),
}

HALTS = {"patch-422-schema": "Refused", "patch-404": "TargetsMissing", "patch-403": "Forbidden"}
"""What no repetition mends by itself: a person is asked. Everything else ends well without one."""

WAITS = {
    "dryrun-422-schema": "Refused",
    "dryrun-404": "TargetsMissing",
    "dryrun-403": "Forbidden",
}
"""Refused dry runs: nothing is written, it is said, and asked again. A target that only moved is read anew at once."""

ANEW = {f"create-{fault}" for fault in FAULTS.keys() - {"422-schema", "500-done", "lost"}}
"""No Rollback came of the lock: it is cleared, and the breach starts the next attempt."""

MAYBE_ANEW = {"lock-500-done", "lock-lost"}
"""The lock is there and nobody knows: the watch tells of a lock without a Rollback, or the next tick takes it."""

APPLIED = {"500-done", "lost"}


@dataclass(frozen=True)
class Case:
    """One fault at one place; `system` names the objects that meet it."""

    place: str
    fault: str

    @property
    def system(self) -> str:
        return f"{self.place}-{self.fault}"

    def arm(self, proxy: ApiProxy) -> Held:
        stage, happen = FAULTS[self.fault]
        fits = PLACES[self.place]
        held = proxy.hold(lambda request: fits(request, self.system), stage)
        happen(held)
        return held


_THE_SAME = {
    # a refusal is a refusal
    *((place, "422-schema") for place in ("lock", "create", "plan", "step", "release")),
    # an answer that does not come takes as long as the operator's time-out
    *((place, "unanswered") for place in ("plan", "step", "release")),
    # the plan is written as the first steps are, which show what is refused, and is lost in its own way
    *(("plan", fault) for fault in ("422-test", "404", "409", "429", "403", "500")),
}

CASES = [Case(place, fault) for place in PLACES for fault in FAULTS if (place, fault) not in _THE_SAME]
NEWER = "newer-deploy"
"""A system on which nothing is injected: v14 is deployed while the patch is on its way."""

SYSTEMS = [*(case.system for case in CASES), NEWER]


# --- the test --------------------------------------------------------------------------------------------------------


class Fleet:
    """All systems of the test and what has become of them, read with one request for each kind."""

    def __init__(self, world: World, proxy: ApiProxy, operator: OperatorProcess) -> None:
        self.world = world
        self.proxy = proxy
        self.operator = operator

    def deploy(self, version: str) -> None:
        self.world.apply(*(_deployment(name, version) for name in SYSTEMS))

    def all(self, kind: str) -> dict[str, Any]:
        items = self.world.kubectl.json("get", kind, namespace=self.world.namespace)["items"]
        return {item["metadata"]["name"]: item for item in items}

    def rollbacks(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {name: [] for name in SYSTEMS}
        for rollback in self.all("rollbacks").values():
            found[rollback["spec"]["modelDeploymentRef"]["name"]].append(rollback)
        return found

    def wait_for_versions(self, **wanted: str) -> None:
        def missing() -> list[str]:
            systems_ = self.all("modeldeployments").values()
            return [
                s["metadata"]["name"] for s in systems_ if not wanted.items() <= s.get("status", {}).items()
            ]

        wait_until(missing, PATIENCE, accept=lambda left: not left, describe=f"{wanted}", every=0.5)

    def requests(self, case: Case, place: str) -> list[Request]:
        return [request for request in self.proxy.requests if PLACES[place](request, case.system)]


def _deployment(name: str, version: str) -> systems.Manifest:
    manifest = systems.deployment(version, name=name)
    manifest["spec"]["replicas"] = 1
    return manifest


def _protected(world: World, name: str) -> list[systems.Manifest]:
    validation = {"settle": "0s", "duration": "1s", "probes": [{"name": "ready", "readiness": {}}]}
    policy = systems.policy(
        world.namespace,
        name,
        modelDeploymentRef={"name": name},
        validation=validation,
        execution={"stepTimeout": "120s"},
    )
    system = systems.model_deployment(name, stabilizeFor="0s", verifiedAfter="1s")
    return [_deployment(name, "v12"), system, policy]


@pytest.fixture
def fleet(
    kubectl: Kubectl,
    namespace: str,
    prometheus: Prometheus,
    operators: Operators,
    tmp_path: Path,
    service_account_kubeconfig: Callable[[str, str], Path],
) -> Iterator[Fleet]:
    """All systems at v12, Verified, and v13 deployed; the operator talks through the proxy."""
    world = World(kubectl, namespace, prometheus)
    world.quality(GOOD)
    world.apply(*(manifest for name in SYSTEMS for manifest in _protected(world, name)))
    with ApiProxy(service_account_kubeconfig(namespace, SERVICE_ACCOUNT)) as proxy:
        kubeconfig = proxy.write_kubeconfig(tmp_path / "proxy.kubeconfig")
        fleet = Fleet(world, proxy, operators.start(kubeconfig=kubeconfig, brake={"maxShare": 1}))
        fleet.wait_for_versions(currentVersion="v12", lastVerifiedVersion="v12")
        fleet.deploy("v13")
        fleet.wait_for_versions(currentVersion="v13")
        yield fleet
        operators.end()


def test_no_answer_of_the_api_server_leads_to_two_writes_or_to_none(
    fleet: Fleet, subtests: pytest.Subtests
) -> None:
    armed = {case: case.arm(fleet.proxy) for case in CASES}
    newer = fleet.proxy.hold(lambda request: _is_patch(request, NEWER), "before")
    fleet.world.quality(BAD)
    newer.wait(PATIENCE)
    # The metric stays bad, and v14 is as little safe from its policy as v13 was: it is to act no more.
    fleet.world.patch("rollbackpolicy", {"mode": "Observe"}, NEWER)
    fleet.world.apply(_deployment(NEWER, "v14"))
    newer.go_on()
    halted = wait_until(
        lambda: _halted(fleet),
        PATIENCE,
        accept=lambda seen: seen.keys() >= HALTS.keys(),
        describe="those to halt that need a person",
        every=0.5,
    )
    for name in HALTS:
        fleet.world.patch("rollback", {"intent": "Resume"}, fleet.rollbacks()[name][0]["metadata"]["name"])
    wait_until(
        lambda: _unfinished(fleet), PATIENCE, accept=lambda left: not left, describe="all to end", every=0.5
    )

    refused = wait_until(
        lambda: _told_of_refusals(fleet),
        PATIENCE,
        accept=lambda told: told >= WAITS.keys(),
        describe="the Events of refused dry runs, which are sent at a bounded rate",
        every=0.5,
    )
    seen = Seen(
        halted,
        refused,
        fleet.rollbacks(),
        fleet.all("deployments"),
        fleet.all("modeldeployments"),
    )
    for case in CASES:
        with subtests.test(case.system):
            assert armed[case].caught, "the fault did not happen"
            _judge(fleet, case, seen)
    with subtests.test(NEWER):
        _judge_newer(fleet, newer, seen)
    with subtests.test("nothing came unexpected"):
        assert [line for line in fleet.operator.lines() if line.get("level") in ("error", "critical")] == []


def _told_of_refusals(fleet: Fleet) -> set[str]:
    told = fleet.world.events("PreflightRefused")
    return {e["regarding"]["name"] for e in told if e["regarding"]["kind"] == "ModelDeployment"}


def _unfinished(fleet: Fleet) -> list[str]:
    systems_, rollbacks = fleet.all("modeldeployments"), fleet.rollbacks()
    return [
        name
        for name in SYSTEMS
        if systems_[name]["status"].get("activeRollback")
        or not any(r.get("status", {}).get("result") for r in rollbacks[name])
    ]


def _halted(fleet: Fleet) -> dict[str, str]:
    found = {name: _reason_of_halt(r) for name, records in fleet.rollbacks().items() for r in records}
    return {name: reason for name, reason in found.items() if reason}


def _reason_of_halt(rollback: dict[str, Any]) -> str:
    conditions = rollback.get("status", {}).get("conditions", [])
    return next((c["reason"] for c in conditions if (c["type"], c["status"]) == ("Halted", "True")), "")


@dataclass(frozen=True)
class Seen:
    """What there is when all have ended; `halted`: system → reason. `refused`: those told of a refused dry run."""

    halted: dict[str, str]
    refused: set[str]
    rollbacks: dict[str, list[Any]]
    deployments: dict[str, Any]
    systems: dict[str, Any]


def _judge(fleet: Fleet, case: Case, seen: Seen) -> None:
    (rollback,) = seen.rollbacks[case.system]
    assert rollback["status"]["result"] == "Succeeded"
    assert seen.halted.get(case.system, "") == HALTS.get(case.system, "")
    assert (case.system in seen.refused) == (case.system in WAITS)
    deployment = seen.deployments[case.system]
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == systems.image_of("v12", case.system)
    assert deployment["metadata"]["generation"] == 3, "v12, v13 and one write"
    assert deployment["spec"]["replicas"] == 1
    status = seen.systems[case.system]["status"]
    assert [q["version"] for q in status["quarantined"]] == ["v13"]
    assert [r["result"] for r in status["lastRollbacks"]] == ["Succeeded"]
    attempts = {2} if case.system in ANEW else {1, 2} if case.system in MAYBE_ANEW else {1}
    assert status["attempt"] in attempts
    tries = fleet.requests(case, case.place)
    if case.place == "patch":
        assert len(tries) == (1 if case.fault in APPLIED else 2), (
            "what was done is seen, what was not is repeated"
        )
    if case.fault == "429":
        assert tries[1].at - tries[0].at >= RETRY_AFTER, "it was asked to wait"


def _judge_newer(fleet: Fleet, newer: Held, seen: Seen) -> None:
    """The `test`s of the patch itself fail on the real API server: there is nothing else that keeps v14."""
    (rollback,) = seen.rollbacks[NEWER]
    assert rollback["status"]["result"] == "Superseded"
    assert newer.request is not None
    assert newer.request.code == 422
    assert [request.code for request in fleet.proxy.requests if _is_patch(request, NEWER)] == [422]
    containers = seen.deployments[NEWER]["spec"]["template"]["spec"]["containers"]
    assert containers[0]["image"] == systems.image_of("v14", NEWER)
    assert seen.deployments[NEWER]["metadata"]["generation"] == 3, "v12, v13, v14 and no write of ours"
    assert not seen.systems[NEWER]["status"].get("quarantined"), (
        "nothing was written, so nothing rolled back from"
    )
