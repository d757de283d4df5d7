"""A worse model is deployed; the containers of the last good one serve again, because a pod saw to it."""

import requests

from tests.realnode.pods import Shop, model_image
from tests.support.audit import Audit, AuditEvent
from tests.support.waiting import wait_until

WITHIN = 120


def served(shop: Shop, version: str) -> None:
    """Wait until only that version runs, and answers."""
    wait_until(
        shop.running_images,
        WITHIN,
        accept=lambda images: images == [model_image(version)] * 2,
        describe=f"two containers of {version} and no other",
    )
    answers(shop, version)


def answers(shop: Shop, version: str) -> None:
    """Wait until that version answers; a connection to a container that ends may be reset meanwhile."""
    wait_until(
        shop.answering_version,
        WITHIN,
        accept=lambda answering: answering == version,
        describe=f"{version} to answer",
        retry_on=(requests.ConnectionError,),
    )


def breach(shop: Shop) -> None:
    """Deploy v13, which is really worse: nobody sets the metric, its containers export what they compute."""
    served(shop, "v12")
    shop.deploy("v13")
    query = f'model_quality{{metric="accuracy",namespace="{shop.world.namespace}"}}'
    answers(shop, "v13")
    shop.world.prometheus.wait_for(f"{query} < 0.9", timeout=WITHIN)


def writes_of_the_model(shop: Shop, audit: Audit, mark: int) -> list[AuditEvent]:
    """What the operator really wrote to Deployments."""
    return [e for e in audit.writes_since(mark, user=shop.operator.actor) if e.resource == "deployments"]


def test_containers_of_the_last_good_image_serve_again(protected: Shop, audit: Audit) -> None:
    mark = audit.mark()
    breach(protected)
    done = protected.world.wait_for_result(WITHIN)

    assert done["status"]["result"] == "Succeeded", done["status"]
    assert (done["status"]["fromVersion"], done["status"]["toVersion"]) == ("v13", "v12")
    served(protected, "v12")
    assert protected.world.image() == model_image("v12")
    assert [(e.verb, e.code) for e in writes_of_the_model(protected, audit, mark)] == [("patch", 200)]
    query = f'model_quality{{metric="accuracy",namespace="{protected.world.namespace}"}} == 1'
    protected.world.prometheus.wait_for(query)


def test_the_service_was_asked_which_version_answers(protected: Shop) -> None:
    breach(protected)
    done = protected.world.wait_for_result(WITHIN)

    probes = {answer["probe"]: answer for answer in done["status"]["validation"]}
    assert probes["answers"]["state"] == "Passed", done["status"]
    assert probes["answers"]["observed"] == "v12"


def test_an_operator_whose_pod_is_killed_meanwhile_finishes_the_same_rollback(
    protected: Shop, audit: Audit
) -> None:
    mark = audit.mark()
    breach(protected)
    wait_until(protected.world.rollbacks, WITHIN, describe="a Rollback to begin")
    before = protected.operator.pod()["metadata"]
    protected.world.kubectl(
        "delete", "pod", before["name"], "--grace-period=0", "--force", namespace=before["namespace"]
    )
    done = protected.world.wait_for_result(WITHIN)

    assert done["status"]["result"] == "Succeeded", done["status"]
    assert protected.operator.pod()["metadata"]["uid"] != before["uid"]
    served(protected, "v12")
    assert [(e.verb, e.code) for e in writes_of_the_model(protected, audit, mark)] == [("patch", 200)]
