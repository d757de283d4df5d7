"""What pods run, whether a tag has moved, and how images are put back by digest."""

import pytest

from model_rollback.api.v1alpha1.images import RunningImage
from model_rollback.core.images import by_digest, has_pods, look, moved, restored, running
from tests.unit.core.builders import make_component, make_system

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TEMPLATE = {"preset": None, "container": None}


def pod(
    image_id=f"shop/r@{A}",
    *,
    owner="recommender-5d4",
    uid="r1",
    kind="ReplicaSet",
    phase="Running",
    **metadata,
):
    return {
        "metadata": {
            "labels": {"pod-template-hash": "5d4"},
            "ownerReferences": [{"kind": kind, "name": owner, "uid": uid, "controller": True}],
            **metadata,
        },
        "status": {"phase": phase, "containerStatuses": [{"name": "server", "imageID": image_id}]},
    }


def target(kind="Deployment"):
    return {"kind": kind, "metadata": {"name": "recommender", "uid": "t1"}}


RUNNING = {
    "all agree": ([pod(), pod()], {"server": f"shop/r@{A}"}),
    "two kinds of bits, as in a rollout": ([pod(), pod(f"shop/r@{B}")], {}),
    "one has not started": ([pod(), pod("")], {}),
    "one that ends does not count": (
        [pod(), pod(f"shop/r@{B}", deletionTimestamp="2026-01-05T10:00:00Z")],
        {"server": f"shop/r@{A}"},
    ),
    "one that was evicted does not count": (
        [pod(), pod(f"shop/r@{B}", phase="Failed")],
        {"server": f"shop/r@{A}"},
    ),
    "one of another Deployment with the same labels": (
        [pod(), pod(f"shop/r@{B}", owner="canary-5d4")],
        {"server": f"shop/r@{A}"},
    ),
    "Docker's way to write it": ([pod(f"docker-pullable://shop/r@{A}")], {"server": f"shop/r@{A}"}),
    "no pods": ([], {}),
}


@pytest.mark.parametrize("case", RUNNING)
def test_what_the_pods_of_a_deployment_run(case):
    pods, expected = RUNNING[case]

    assert running(target(), pods) == expected


def test_pods_of_other_workloads_name_them_as_their_owner():
    pods = [pod(kind="StatefulSet", uid="t1"), pod(f"shop/r@{B}", kind="StatefulSet", uid="t2")]

    assert running(target("StatefulSet"), pods) == {"server": f"shop/r@{A}"}


def ran(image_id, container="server"):
    return RunningImage(component="model", container=container, image_id=image_id)


MOVES = {
    "other bits": (f"shop/r@{A}", f"shop/r@{B}", True),
    "the same bits": (f"shop/r@{A}", f"shop/r@{A}", False),
    "the same bits from a mirror": (f"shop/r@{A}", f"mirror.example/r@{A}", False),
    "pulled here, imported there": (f"shop/r@{A}", B, False),
    "imported, other bits": (A, B, True),
}


@pytest.mark.parametrize("case", MOVES)
def test_when_a_tag_has_moved(case):
    before, now, is_move = MOVES[case]

    assert moved([ran(before)], [ran(now)]) == ((ran(before),) if is_move else ())


def test_what_is_not_known_has_not_moved():
    assert moved([ran(A)], [ran(B, "proxy")]) == ()
    assert moved([], [ran(B)]) == ()


def template(*images, init=()):
    def named(given, what):
        return [{"name": f"{what}{i}", "image": image} for i, image in enumerate(given)]

    return {"template": {"spec": {"containers": named(images, "c"), "initContainers": named(init, "i")}}}


def test_the_images_of_a_template_get_digests_and_keep_their_tags():
    spec = make_system([make_component(**TEMPLATE)])
    values = {"model": template("shop/r:v12", f"shop/p:v1@{B}", init=["shop/setup"])}
    images = [ran(f"shop/r@{A}", "c0"), ran(f"shop/p@{A}", "c1"), ran(f"shop/setup@{A}", "i0")]

    pinned, lost = by_digest(spec, values, images)

    assert pinned == {"model": template(f"shop/r:v12@{A}", f"shop/p:v1@{B}", init=[f"shop/setup@{A}"])}
    assert lost == ()
    assert values == {"model": template("shop/r:v12", f"shop/p:v1@{B}", init=["shop/setup"])}


def test_an_image_that_no_registry_names_is_lost():
    spec = make_system()

    assert by_digest(spec, {"model": {"image": "shop/r:v12"}}, [ran(A)]) == (
        {"model": {"image": "shop/r:v12"}},
        (ran(A),),
    )


PUT_BACK = {
    "by digest where it differs": ({}, "shop/r:v13", f"shop/r:v12@{A}"),
    "as it is where it is live": ({}, "shop/r:v12", "shop/r:v12"),
    "as written when the ModelDeployment says so": ({"images": "AsWritten"}, "shop/r:v13", "shop/r:v12"),
}


@pytest.mark.parametrize("case", PUT_BACK)
def test_how_a_recorded_version_is_put_back(case):
    versioning, live, expected = PUT_BACK[case]
    spec = make_system(versioning=versioning)

    back = restored(
        spec, {"model": {"image": "shop/r:v12"}}, {"model": {"image": live}}, [ran(f"shop/r@{A}")]
    )

    assert back == {"model": {"image": expected}}


def test_a_look_tells_tags_from_digests_and_shows_the_first_container():
    spec = make_system([make_component(**TEMPLATE)])
    values = {"model": template("shop/r:v12", f"shop/p@{B}", init=["shop/setup:1"])}

    seen = look(spec, values, {"model": {"c0": "0", "c1": "1", "i0": "2", "injected": "3"}})

    assert [i.container for i in seen.images] == ["i0", "c0", "c1"]
    assert [i.container for i in seen.tagged] == ["i0", "c0"]
    assert seen.shown == {"model": {"template": "0"}}


KINDS = {
    "a template": (TEMPLATE, True),
    "an image": ({}, True),
    "a variable": ({"preset": "ContainerEnv", "env": "MODEL_URI"}, False),
    "pods that cannot be told from others'": (
        {**TEMPLATE, "targetRef": {"apiVersion": "batch/v1", "kind": "CronJob", "name": "model"}},
        False,
    ),
    "an image by a path of one's own": (
        {**TEMPLATE, "pins": [{"name": "x", "path": "spec.template.spec.containers[name=server].image"}]},
        True,
    ),
}


@pytest.mark.parametrize("case", KINDS)
def test_whose_pods_are_read(case):
    fields, expected = KINDS[case]

    assert has_pods(make_component(**fields)) is expected
