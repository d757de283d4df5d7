"""Tags that move: what comes back are the bits that were good, and other bits under an old tag are a new version."""

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

RESTARTED = "kubectl.kubernetes.io/restartedAt"
GOOD_BITS, BAD_BITS = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture
def shop(world: World, operators: Operators) -> World:
    """v12 runs, Verified, and its tag stands for the good bits."""
    guards = {"cooldown": "0s"}
    world.apply(systems.policy(world.namespace, guards=guards))
    world.deploy("v12", annotations={RESTARTED: GOOD_BITS})
    operators.start()
    world.wait_for_version("v12", verified=True)
    return world


def test_good_bits_come_back_and_other_bits_under_their_tag_are_a_new_version(shop: World) -> None:
    (image,) = shop.status()["history"][0]["images"]
    assert image == {
        "component": "model",
        "container": "server",
        "imageID": f"registry.example/server@{GOOD_BITS}",
    }
    (component,) = shop.status()["components"]
    assert component["observed"][0]["imageID"] == image["imageID"]

    shop.deploy("v13", annotations={RESTARTED: BAD_BITS})
    shop.wait_for_record("v13")
    shop.quality(BAD)
    by_digest = f"{systems.image_of('v12')}@{GOOD_BITS}"
    wait_until(shop.image, 60, accept=lambda i: i == by_digest, describe="v12 to be put back by its digest")
    shop.quality(GOOD)
    assert shop.wait_for_result()["status"]["result"] == "Succeeded"
    shop.wait_for_version("v12", verified=True)
    shop.wait_for_record("v12")

    # Git says v12 again, but by now somebody has pushed other bits under that tag.
    shop.deploy("v12", annotations={RESTARTED: BAD_BITS})
    moved = shop.wait_for_condition("modeldeployment", "MutableReference", is_("True", "MutableReference"))
    assert GOOD_BITS in moved["message"]
    assert BAD_BITS in moved["message"]
    status = shop.status()
    assert status["currentVersion"].startswith("v12-")
    assert (status["lastVerifiedVersion"], status["history"][0]["movedFrom"]) == ("v12", "v12")
    assert shop.wait_until_told("MutableReference", "ModelDeployment") == {"ModelDeployment"}

    shop.quality(BAD)
    wait_until(shop.image, 60, accept=lambda i: i == by_digest, describe="the good bits to be put back")
    shop.quality(GOOD)
    shop.wait_for_condition("modeldeployment", "MutableReference", is_("False", "NoTagMoved"))
    assert [q["version"] for q in shop.status()["quarantined"]] == [status["currentVersion"], "v13"]
