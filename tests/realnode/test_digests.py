"""A tag that means other bits by now: the node is given the good ones, because a rollback names them by digest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hack.localcluster.controlplane.places import cluster_dir
from hack.localcluster.controlplane.realnode.layout import Layout

from tests.realnode.pods import Node, Shop, deployment, policy, pulled_image
from tests.realnode.registry import Registry
from tests.realnode.test_rollback import WITHIN, answers
from tests.scenario import systems


@pytest.fixture
def registry(node: Node, archive: Callable[[str], Path]) -> Iterator[Registry]:
    """v12 and v13 can be pulled from it."""
    with Registry(node.machine, "recommender") as registry:
        for version in ("v12", "v13"):
            registry.add(version, archive(pulled_image(version)))
        registry.introduce(Layout(cluster_dir(node.name)).registries)
        yield registry


def _deploy(shop: Shop, registry: Registry, version: str) -> None:
    manifest = deployment(version)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {"image": registry.image(version), "imagePullPolicy": "Always"}
    shop.world.apply(manifest)


def test_the_bits_that_were_good_come_back_although_their_tag_means_others(
    shop: Shop, registry: Registry, namespace: str
) -> None:
    world, good = shop.world, registry.tags["v12"]
    _deploy(shop, registry, "v12")
    world.apply(systems.model_deployment(), policy(namespace))
    world.wait_for_version("v12", verified=True, timeout=WITHIN)
    (image,) = world.status()["history"][0]["images"]
    assert image["imageID"] == f"{registry.address}/recommender@{good}"

    _deploy(shop, registry, "v13")
    registry.tags["v12"] = registry.tags["v13"]
    answers(shop, "v13")
    done = world.wait_for_result(WITHIN)["status"]

    assert done["result"] == "Succeeded", done
    assert world.image() == f"{registry.image('v12')}@{good}"
    answers(shop, "v12")
    assert {a["probe"]: a["observed"] for a in done["validation"]}["answers"] == "v12"
    assert world.status()["currentVersion"] == "v12"
