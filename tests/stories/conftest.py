"""A namespace to play a story in."""

import pytest

from tests.scenario.world import World
from tests.support.commands import Kubectl
from tests.support.operator import Operators
from tests.support.prometheus import Prometheus


@pytest.fixture
def stage(kubectl: Kubectl, namespace: str, prometheus: Prometheus, operators: Operators) -> World:
    """Empty; `operators` has given the CRDs and the rights."""
    del operators
    return World(kubectl, namespace, prometheus)
