"""Where an HTTP probe of an operator in a pod comes: to the Services of its own namespace, and nowhere else."""

from typing import Any

from tests.realnode.pods import PORT, SERVICE, Shop, deployment
from tests.realnode.test_rollback import breach
from tests.support.waiting import wait_until

WITHIN = 120
VERSION = {"jsonPath": "$.version"}


def _service(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def test_a_service_of_the_own_namespace_answers_and_no_way_leads_out_of_it(protected: Shop) -> None:
    """`by-address` and `headless` are found through the API server alone: the operator was told nothing of them."""
    world, elsewhere = protected.world, f"{protected.world.namespace}-elsewhere"
    chosen, ports = SERVICE["spec"]["selector"], SERVICE["spec"]["ports"]
    world.apply(
        _service("by-address", selector=chosen, ports=ports),
        _service("headless", selector=chosen, clusterIP="None"),
        _service("metadata", type="ExternalName", externalName="169.254.169.254"),
        _service("anywhere", ports=[{"port": PORT}]),
    )
    world.kubectl("create", "namespace", elsewhere)
    try:
        world.kubectl.apply([deployment("v12"), SERVICE], namespace=elsewhere)
        answers = _answers(protected, elsewhere)
    finally:
        world.kubectl("delete", "namespace", elsewhere, "--wait=false")

    reached = {
        name: (answers[name]["state"], answers[name]["observed"]) for name in ("by-address", "headless")
    }
    assert reached == dict.fromkeys(reached, ("Passed", "v12")), answers
    refused = {name: answer["message"] for name, answer in answers.items() if answer["state"] == "Unknown"}
    assert "is an ExternalName, which leads out of the namespace" in refused["metadata"]
    assert "selects no pods, so it may lead anywhere" in refused["anywhere"]
    assert "is not in the operator's setting probes.allowedHosts" in refused["neighbour"]
    assert refused.keys() == {"metadata", "anywhere", "neighbour"}


def _answers(shop: Shop, elsewhere: str) -> dict[str, Any]:
    """The last answer of each probe once all those that can be asked have passed."""
    own = [
        {"name": name, "http": {"service": name, "port": PORT, "path": "/version", "expectVersion": VERSION}}
        for name in ("by-address", "headless", "metadata", "anywhere")
    ]
    neighbour = {"name": "neighbour", "http": {"host": f"recommender.{elsewhere}.svc", "port": PORT}}
    validation = {"settle": "1s", "duration": "3s", "probes": [*own, neighbour]}
    shop.world.patch("rollbackpolicy", {"validation": validation, "execution": {"stepTimeout": "10m"}})
    breach(shop)

    def look() -> dict[str, Any]:
        found = shop.world.rollbacks()
        told = found[0].get("status", {}).get("validation", []) if found else []
        return {answer["probe"]: answer for answer in told}

    return wait_until(
        look,
        WITHIN,
        accept=lambda told: (
            len(told) == len(own) + 1
            and all(told[name]["state"] == "Passed" for name in ("by-address", "headless"))
        ),
        describe="every probe to be asked, and those that lead to the model to pass",
    )
