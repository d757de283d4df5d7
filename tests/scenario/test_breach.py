"""A breach rolls back, and everybody who looks is told."""

import pytest

from tests.scenario.world import BAD, GOOD, World
from tests.support.audit import Audit, AuditEvent
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

ALL_FOUR = {"RollbackPolicy", "ModelDeployment", "Rollback", "Deployment"}


def test_a_breach_puts_the_last_verified_version_back_and_proves_it(protected: World) -> None:
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    protected.wait_for_image("v12")
    protected.quality(GOOD)
    done = protected.wait_for_result()

    assert done["status"]["result"] == "Succeeded"
    assert (done["status"]["fromVersion"], done["status"]["toVersion"]) == ("v13", "v12")
    assert done["status"]["evidence"][0]["value"] == "0.62"
    assert [s["state"] for s in done["status"]["steps"]] == ["Succeeded", "Succeeded"]
    status = protected.status()
    assert (status["currentVersion"], status.get("activeRollback")) == ("v12", None)
    assert [q["version"] for q in status["quarantined"]] == ["v13"]

    protected.deploy("v14")
    protected.wait_for_version("v14")
    protected.say("Undo")
    (refused, *_) = protected.wait_for_event("IntentRefused")
    assert "v14 is live, not v12: there is nothing of it to undo" in refused["note"]
    assert protected.image().endswith(":v14"), "a newer deploy is not undone"


def test_whoever_looks_finds_the_whole_story(protected: World, audit: Audit) -> None:
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.kubectl("scale", "deployment/recommender", "--replicas=3", namespace=protected.namespace)
    mark = audit.mark()
    protected.quality(BAD)
    protected.wait_for_image("v12")
    protected.quality(GOOD)
    name = protected.wait_for_result()["metadata"]["name"]

    waited = protected.kubectl(
        "wait",
        "--for=condition=Complete",
        f"rbk/{name}",
        "--timeout=30s",
        namespace=protected.namespace,
    )
    assert "condition met" in waited

    writes = [e for e in audit.writes_since(mark, user=protected.actor) if e.resource == "deployments"]
    assert [(e.verb, e.name, e.code) for e in writes] == [("patch", "recommender", 200)]
    assert _is_before_any_write(audit.since(mark, user=protected.actor, resource="deployments"))
    assert protected.get("deployment")["spec"]["replicas"] == 3

    for reason in ("RollbackStarted", "ComponentReverted", "RollbackSucceeded"):
        protected.wait_until_told(reason, *ALL_FOUR)
    both = {"RollbackPolicy", "ModelDeployment"}
    assert protected.wait_until_told("TriggerBreached", *both) == both
    assert "v13 → v12" in protected.events("RollbackSucceeded")[0]["note"]

    wait_until(
        lambda: _columns(protected),
        accept=lambda columns: (
            columns
            == [
                ["v12", "v12", "True"],
                ["recommender", "Enforce", "CooldownActive", "False", "Succeeded"],
                ["recommender", "v13", "v12", "Incident", "Succeeded"],
            ]
        ),
        describe="the columns to tell the story",
    )


def test_a_release_that_never_got_ready_is_itself_rolled_back(protected: World) -> None:
    protected.patch("rollbackpolicy", {"quarantine": {"duration": "5s"}})
    protected.deploy("v13", image="registry.example/broken:v13")
    protected.wait_for_version("v13")
    assert protected.history() == ["v12"], "a version that never got ready must not be recorded"
    protected.quality(BAD)
    protected.wait_for_image("v12")
    protected.quality(GOOD)

    done = protected.wait_for_result()
    assert (done["status"]["result"], done["status"]["fromVersion"]) == ("Succeeded", "v13")
    assert protected.status()["currentVersion"] == "v12"
    wait_until(
        lambda: not protected.status().get("quarantined"), 60, describe="the quarantine of v13 to run out"
    )
    assert not protected.status().get("released"), "nobody released it: its time was up"


def _is_before_any_write(requests: list[AuditEvent]) -> bool:
    """The first patch was a dry run."""
    patches = [e for e in requests if e.verb == "patch"]
    return "dryRun=All" in patches[0].uri


def _columns(world: World) -> list[list[str]]:
    """What `kubectl get` prints, without names, ages and headings."""
    printed = world.kubectl("get", "mdep,rbpol,rbk", namespace=world.namespace).splitlines()
    return [row.split()[1:-1] for row in printed if row and not row.startswith("NAME")]
