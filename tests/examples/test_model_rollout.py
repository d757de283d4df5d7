"""Which version the process serves, decided from ReplicaSets as the API server shows them."""

import pytest
from model_server.rollout import image_tag, ready_version


def replica_set(
    version: str, revision: int, ready: int, owner: str = "recommender", container: str = "server"
):
    return {
        "metadata": {
            "name": f"{owner}-{revision}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"kind": "Deployment", "name": owner}],
        },
        "spec": {
            "template": {
                "spec": {"containers": [{"name": container, "image": f"registry.example/m:{version}"}]}
            }
        },
        "status": {"readyReplicas": ready} if ready else {},
    }


@pytest.mark.parametrize(
    ("replica_sets", "expected"),
    [
        pytest.param([], None, id="nothing-yet"),
        pytest.param([replica_set("v12", 1, 0)], None, id="first-pod-not-ready"),
        pytest.param([replica_set("v12", 1, 1)], "v12", id="ready"),
        pytest.param(
            [replica_set("v12", 1, 2), replica_set("v13", 2, 0)], "v12", id="new-pods-not-ready-yet"
        ),
        pytest.param([replica_set("v12", 1, 1), replica_set("v13", 2, 1)], "v13", id="first-new-pod-ready"),
        pytest.param([replica_set("v12", 1, 0), replica_set("v13", 2, 2)], "v13", id="rolled-out"),
        pytest.param([replica_set("v12", 3, 0), replica_set("v13", 2, 2)], "v13", id="rollback-begun"),
        pytest.param([replica_set("v12", 3, 1), replica_set("v13", 2, 1)], "v12", id="rolled-back"),
        pytest.param([replica_set("v9", 9, 1), replica_set("v10", 10, 1)], "v10", id="revisions-are-numbers"),
        pytest.param([replica_set("v13", 5, 2, owner="other")], None, id="of-another-deployment"),
        pytest.param([replica_set("v13", 5, 2, container="sidecar")], None, id="container-not-there"),
    ],
)
def test_the_newest_revision_with_a_ready_pod_serves(replica_sets, expected):
    assert ready_version(replica_sets, deployment="recommender", container="server") == expected


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("registry.example/recommender:v12", "v12"),
        ("registry.example:5000/recommender:v12", "v12"),
        ("registry.example:5000/recommender", "latest"),
        ("registry.example/recommender:v12@sha256:0123", "v12"),
        ("recommender", "latest"),
    ],
)
def test_the_version_is_the_tag_of_the_image(image, tag):
    assert image_tag(image) == tag
