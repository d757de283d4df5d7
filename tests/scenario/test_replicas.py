"""Two replicas: one writes, the other takes over, and one that was frozen writes nothing when it wakes."""

import base64
import json
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.scenario.world import BAD, GOOD, World
from tests.support.audit import Audit, AuditEvent
from tests.support.commands import Kubectl
from tests.support.identity import service_account_kubeconfig
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

LONGEST_FAILOVER = 8.0
SOONEST_EXPIRY = 5.0
"""A Lease that was renewed a second ago, and was not released, is respected for this long."""
TRIES = 3
"""On a machine that is busy with other things one failover may take longer; three in a row show a fault."""

CREDENTIAL = "authentication.kubernetes.io/credential-id"


class Replica:
    """One of several operators, with a token of its own, so that the audit log tells them apart."""

    def __init__(self, process: OperatorProcess, kubeconfig: Path) -> None:
        self.process = process
        token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
        claims = token.split(".")[1]
        claims += "=" * (-len(claims) % 4)
        self._credential = f"JTI={json.loads(base64.urlsafe_b64decode(claims))['jti']}"

    @property
    def leads(self) -> bool:
        return self.process.metric("model_rollback_leader") == 1

    def wait_to_lead(self) -> float:
        """Until it leads; when its last term began, by its own log."""
        wait_until(lambda: self.leads, 60, describe="this replica to lead")
        return self.at("leading")

    def at(self, event: str) -> float:
        """When its log says so for the last time."""
        stamps = [line["timestamp"] for line in self.process.lines() if line.get("event") == event]
        return datetime.fromisoformat(stamps[-1]).timestamp()

    def wrote(self, event: AuditEvent) -> bool:
        """Whether it sent this request, and it was no read."""
        return event.verb in {"create", "update", "patch", "delete"} and self._credential in (
            event.raw["user"].get("extra", {}).get(CREDENTIAL, [])
        )


@pytest.fixture
def replica(world: World, operators: Operators, kubectl: Kubectl, tmp_path: Path) -> Callable[[], Replica]:
    """`replica()`: one more, watching and ready."""

    def start() -> Replica:
        folder = tmp_path / f"replica-{len(operators.running)}"
        folder.mkdir()
        kubeconfig = service_account_kubeconfig(kubectl, world.namespace, SERVICE_ACCOUNT, folder)
        return Replica(operators.start(elects=True, kubeconfig=kubeconfig), kubeconfig)

    return start


def break_v13(world: World) -> None:
    """v12 is Verified, v13 runs and is bad, and a Rollback has just been created."""
    world.wait_for_version("v12", verified=True)
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    wait_until(world.rollbacks, 60, describe="a Rollback")


def test_the_other_replica_takes_over_when_the_leader_is_killed_or_stopped(
    world: World, replica: Callable[[], Replica], audit: Audit
) -> None:
    mark = audit.mark()
    first = replica()
    first.wait_to_lead()
    second = replica()
    assert not second.leads, "it is ready and stands by"
    break_v13(world)
    lease = world.get("lease", SERVICE_ACCOUNT)["spec"]
    assert lease["holderIdentity"].startswith("operator-0_")
    assert not [e for e in audit.since(mark, user=world.actor) if second.wrote(e)]

    took = _seconds_to_take_over(first, second)
    world.wait_for_image("v12")
    world.quality(GOOD)
    assert world.wait_for_result()["status"]["result"] == "Succeeded"
    writes = audit.writes_since(mark, user=world.actor)
    assert [e.code for e in writes if e.resource == "deployments"] == [200], "one patch, whoever wrote it"
    epoch = world.get("lease", SERVICE_ACCOUNT)["spec"]["leaseTransitions"]
    assert epoch > lease["leaseTransitions"]
    signature = world.get("deployment")["metadata"]["annotations"]["modelrollback.dev/last-write"]
    assert 0 < int(signature.rsplit("/", 1)[1]) <= epoch

    leader = second
    for _ in range(TRIES - 1):
        if took < LONGEST_FAILOVER:
            break
        standby = replica()
        took, leader = min(took, _seconds_to_take_over(leader, standby)), standby
    assert took < LONGEST_FAILOVER

    last = replica()
    assert leader.process.stop() == 0
    released = leader.at("lease released")
    assert last.wait_to_lead() - released < SOONEST_EXPIRY, "a leader that is told to end lets go at once"
    world.deploy("v14")
    world.wait_for_record("v14")


def _seconds_to_take_over(leader: Replica, standby: Replica) -> float:
    killed = time.time()
    leader.process.kill()
    return standby.wait_to_lead() - killed


def test_a_frozen_leader_writes_nothing_when_it_wakes(
    world: World, replica: Callable[[], Replica], audit: Audit
) -> None:
    first = replica()
    first.wait_to_lead()
    second = replica()
    break_v13(world)
    first.process.process.send_signal(signal.SIGSTOP)
    try:
        second.wait_to_lead()
        world.wait_for_image("v12")
        mark = audit.mark()
    finally:
        woke = datetime.now(UTC)
        first.process.process.send_signal(signal.SIGCONT)

    def has_noticed() -> bool:
        return any(
            str(line.get("event")).startswith("this replica may not write") for line in first.process.lines()
        )

    wait_until(has_noticed, 60, describe="the woken replica to notice")
    world.quality(GOOD)
    assert world.wait_for_result()["status"]["result"] == "Succeeded"
    assert not first.leads
    # A request that it was sending as it froze ends when it wakes: the API server had begun it before.
    sent = [e for e in audit.since(mark, user=world.actor) if e.received_at >= woke and first.wrote(e)]
    written = [f"{e.verb} {e.uri} {e.code}" for e in sent]
    assert written == [], "what it was about to write belongs to another leader now"

    wait_until(lambda: _stands_by(first.process), 60, describe="the woken replica to stand by, warm")
    assert second.process.stop() == 0
    first.wait_to_lead()
    world.deploy("v14")
    world.wait_for_record("v14")


def _stands_by(process: OperatorProcess) -> bool:
    standing = [line for line in process.lines() if line.get("event") == "standing by"]
    return bool(standing) and bool(process.wait_ready())
