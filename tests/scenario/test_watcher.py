"""kopf may end; the Rollback under way does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.gateway import Gateway, api_server_gateway
from tests.scenario.world import BAD, GOOD, World
from tests.support.commands import Kubectl
from tests.support.identity import service_account_kubeconfig
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

RESTARTS = "model_rollback_watcher_restarts_total"


@pytest.fixture
def between(
    world: World, operators: Operators, kubectl: Kubectl, tmp_path: Path
) -> Iterator[tuple[Gateway, OperatorProcess]]:
    """What stands between the API server and an operator that has verified v12; and the operator."""
    direct = service_account_kubeconfig(kubectl, world.namespace, SERVICE_ACCOUNT, tmp_path)
    gateway, through = api_server_gateway(direct, tmp_path)
    with gateway:
        operator = operators.start(kubeconfig=through)
        world.wait_for_version("v12", verified=True)
        yield gateway, operator


def test_a_rollback_goes_on_while_our_kinds_cannot_be_watched(
    world: World, between: tuple[Gateway, OperatorProcess]
) -> None:
    gateway, operator = between
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    wait_until(world.rollbacks, 60, describe="a Rollback")

    gateway.fail(_lose_our_kinds)
    world.wait_for_image("v12")
    world.quality(GOOD)
    assert world.wait_for_result()["status"]["result"] == "Succeeded"
    wait_until(lambda: operator.metric(RESTARTS), 30, describe="a restart of kopf")

    gateway.mend()
    operator.wait_ready()
    world.patch("rollbackpolicy", {"mode": "Suspended"})
    world.wait_for_condition("rollbackpolicy", "Armed", lambda c: c.get("reason") == "Suspended")


def test_what_is_deleted_while_our_kinds_cannot_be_watched_holds_nothing_up(
    world: World, between: tuple[Gateway, OperatorProcess]
) -> None:
    gateway, operator = between
    world.patch("rollbackpolicy", {"validation": {"settle": "0s", "duration": "2s", "onFailure": "Halt"}})
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)  # and it stays so: the validation of v12 fails
    halted = wait_until(world.rollbacks, 60, describe="a Rollback")[0]["metadata"]["name"]
    world.wait_for_condition("rollback", "Halted", lambda c: c.get("status") == "True", name=halted)

    gateway.fail(_lose_our_kinds)
    wait_until(lambda: operator.metric(RESTARTS), 60, describe="a restart of kopf")
    world.delete("rollback", halted)
    assert world.status()["activeRollback"] == halted
    gateway.mend()

    wait_until(
        lambda: not world.status().get("activeRollback"),
        60,
        describe="the lock of the Rollback that is gone to be cleared",
    )


def _lose_our_kinds(method: str, target: str) -> int | None:
    """As an API server does while definitions are replaced; kopf ends on it."""
    path = target.partition("?")[0]
    kinds = ("/modeldeployments", "/rollbackpolicies", "/rollbacks")
    is_collection = "/apis/modelrollback.dev/" in path and path.endswith(kinds)
    return 404 if method == "GET" and is_collection else None
