"""Which versions are recorded, and the order in which components go back."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.commands import Helm
from tests.support.operator import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def _pair(stabilize_for: str) -> dict[str, Any]:
    """Features, and a model that depends on them."""
    manifest = systems.model_deployment(stabilizeFor=stabilize_for)
    features = {
        "name": "features",
        "type": "Pipeline",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "features"},
    }
    model = {**manifest["spec"]["components"][0], "dependsOn": ["features"]}
    manifest["spec"]["components"] = [model, features]
    return manifest


@pytest.fixture
def pair(world: World, operators: Operators) -> World:
    """Both at v12, Verified."""
    world.apply(systems.deployment("v12", name="features"), _pair("1s"))
    operators.start()
    world.wait_for_version("v12", verified=True)
    return world


def test_a_mixed_rollout_is_no_version_and_both_go_back_in_order(pair: World, audit: Audit) -> None:
    pair.apply(_pair("10m"))
    pair.deploy("v13")
    ready = pair.wait_for_condition("modeldeployment", "Ready", is_("False", "MixedVersions"))
    assert ready["message"]
    assert pair.status().get("currentVersion", "") == ""
    pair.wait_for_condition("rollbackpolicy", "Armed", is_("False", "MixedVersions"))
    pair.deploy("v13", name="features")
    pair.wait_for_version("v13")
    pair.apply(_pair("1s"))
    pair.wait_for_record("v13")
    assert pair.history() == ["v13", "v12"]
    revisions = {v["revision"]: v["version"] for v in pair.status()["history"]}
    assert _kept(pair) == revisions

    pair.patch("deployment", {"revisionHistoryLimit": 5})
    mark = audit.mark()
    pair.quality(BAD)
    pair.wait_for_image("v12")
    pair.quality(GOOD)
    done = pair.wait_for_result()
    assert done["status"]["result"] == "Succeeded"
    writes = [e for e in audit.writes_since(mark, user=pair.actor) if e.resource == "deployments"]
    assert [e.name for e in writes] == ["features", "recommender"]
    steps = {s["component"]: s for s in done["status"]["steps"] if s["action"] == "Revert"}
    assert _time(steps["features"]["finishedAt"]) <= _time(steps["model"]["startedAt"])
    assert pair.image("features") == systems.image_of("v12", "features")

    (patched,) = [n for n in done["status"]["notReverted"] if n["manager"] == "kubectl-patch"]
    assert (patched["object"], patched["fields"]) == ("Deployment recommender", ["spec.revisionHistoryLimit"])
    assert pair.get("deployment")["spec"]["revisionHistoryLimit"] == 5

    assert [q["version"] for q in pair.status()["quarantined"]] == ["v13"]
    pair.patch("modeldeployment", {"quarantineReleases": [{"version": "v13", "reason": "fixed upstream"}]})
    released = wait_until(lambda: pair.status().get("released"), describe="v13 to be released")
    assert [(r["version"], r["reason"], r["rollback"]) for r in released] == [
        ("v13", "fixed upstream", done["metadata"]["name"])
    ]
    assert pair.status().get("quarantined", []) == []
    (event,) = pair.wait_for_event("QuarantineReleased")
    assert (event["regarding"]["kind"], "fixed upstream" in event["note"]) == ("ModelDeployment", True)


def test_a_restart_is_no_new_version_and_each_version_says_who_made_it(
    protected: World, helm: Helm, tmp_path: Path
) -> None:
    before = protected.status()
    protected.kubectl("rollout", "restart", "deployment/recommender", namespace=protected.namespace)
    protected.kubectl("rollout", "status", "deployment/recommender", namespace=protected.namespace)
    protected.wait_for_condition("modeldeployment", "Ready", is_("True"))
    after = protected.status()
    assert (after["currentDigest"], after.get("episode", 0)) == (
        before["currentDigest"],
        before.get("episode", 0),
    )
    protected.kubectl.apply(systems.deployment("v13"), namespace=protected.namespace)
    protected.wait_for_record("v13")
    assert protected.history() == ["v13", "v12"]
    # The restart wrote an annotation of the pod template only, which makes no version and no author.
    assert [[a["manager"] for a in v["changedBy"]] for v in protected.status()["history"]] == [
        ["kubectl-client-side-apply", "kubectl"],
        ["kubectl"],
    ]

    _two_are_kept_and_of_the_third_nothing_is_left(protected)
    _a_change_by_hand_is_its_authors(protected)

    _upgrade(helm, tmp_path, systems.deployment("v16"), protected.namespace)
    protected.wait_for_record("v16")
    assert protected.status()["history"][0]["changedBy"][0]["manager"] == "helm"
    managed = protected.wait_for_condition("modeldeployment", "ExternallyManaged", is_("True"))
    assert "Helm release recommender" in managed["message"]


def _two_are_kept_and_of_the_third_nothing_is_left(protected: World) -> None:
    protected.patch("modeldeployment", {"versioning": {"historyLimit": 2}})
    argo = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
    protected.kubectl(
        *("apply", *argo, "-f", "-"),
        stdin=systems.as_json(systems.deployment("v14")),
        namespace=protected.namespace,
    )
    protected.wait_for_record("v14")
    history = protected.status()["history"]
    assert len(history) == 2
    assert history[0]["changedBy"][0]["manager"] == "argocd-controller"
    wait_until(
        lambda: _kept(protected),
        30,
        accept=lambda kept: set(kept) == {v["revision"] for v in history},
        describe="the ControllerRevision of the version that fell out of the history to be deleted",
    )


def _a_change_by_hand_is_its_authors(protected: World) -> None:
    image = f"server={systems.image_of('v15')}"
    protected.kubectl("set", "image", "deployment/recommender", image, namespace=protected.namespace)
    latest = wait_until(
        lambda: protected.status()["history"][0],
        accept=lambda v: v["version"].startswith("v14-"),
        describe="the image that was set by hand to be recorded",
    )
    assert [a["manager"] for a in latest["changedBy"]][:2] == ["kubectl-set", "argocd-controller"]

    editor = f"sed -i s,{systems.image_of('v15')},{systems.image_of('v15')}-hotfix,"
    person = replace(protected.kubectl, environment={**protected.kubectl.environment, "KUBE_EDITOR": editor})
    person("edit", "deployment", "recommender", namespace=protected.namespace)
    edited = wait_until(
        lambda: protected.status()["history"][0],
        accept=lambda v: v["version"] != latest["version"],
        describe="the image that was edited to be recorded",
    )
    assert edited["changedBy"][0]["manager"] == "kubectl-edit"


def _upgrade(helm: Helm, folder: Path, manifest: systems.Manifest, namespace: str) -> None:
    """helm takes over what kubectl had applied."""
    templates = folder / "recommender" / "templates"
    templates.mkdir(parents=True)
    (templates.parent / "Chart.yaml").write_text("apiVersion: v2\nname: recommender\nversion: 1.0.0\n")
    (templates / "deployment.yaml").write_text(systems.as_json(manifest))
    helm(
        "install",
        "recommender",
        str(templates.parent),
        "--take-ownership",
        "--force-conflicts",
        namespace=namespace,
    )


def _kept(world: World) -> dict[str, str]:
    """The ControllerRevisions of ModelDeployments, and the version that each keeps."""
    selector = "-lmodelrollback.dev/model-deployment"
    kept = world.kubectl.json("get", "controllerrevisions", selector, namespace=world.namespace)["items"]
    return {r["metadata"]["name"]: r["data"]["version"] for r in kept}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
