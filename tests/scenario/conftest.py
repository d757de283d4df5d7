"""The world that scenarios play in."""

import pytest

from tests.scenario import systems
from tests.scenario.world import GOOD, World
from tests.support.commands import Kubectl
from tests.support.operator import OperatorProcess, Operators
from tests.support.prometheus import Prometheus


@pytest.fixture
def world(kubectl: Kubectl, namespace: str, prometheus: Prometheus, operators: Operators) -> World:
    """A good v12 and the smallest pair around it; the operator is not running yet. `operators` has given the CRDs."""
    made = World(kubectl, namespace, prometheus)
    made.quality(GOOD)
    made.apply(systems.deployment("v12"), systems.model_deployment(), systems.policy(namespace))
    return made


@pytest.fixture
def operator(world: World, operators: Operators) -> OperatorProcess:
    """The operator, running in that world."""
    return operators.start()


@pytest.fixture
def protected(world: World, operator: OperatorProcess) -> World:
    """The same with the operator running and v12 Verified."""
    world.wait_for_version("v12", verified=True)
    return world
