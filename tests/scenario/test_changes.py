"""What people change half way: a Rollback finishes as it was planned, or ends and says so; nothing is ever stuck."""

from typing import Any

import pytest

from tests.scenario import systems
from tests.scenario.world import BAD, GOOD, World, is_
from tests.support.audit import Audit
from tests.support.operator import SERVICE_ACCOUNT, OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

LONG: dict[str, Any] = {"settle": "10m", "duration": "1s"}


def test_a_policy_that_is_edited_and_deleted_changes_nothing_of_what_was_planned(
    world: World, operators: Operators
) -> None:
    world.deploy("v12", annotations={"sim/ready-after": "2s"})
    operators.start()
    world.wait_for_version("v12", verified=True)
    world.deploy("v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    world.wait_for_image("v12")
    world.quality(GOOD)
    world.patch("rollbackpolicy", {"validation": LONG, "quarantine": {"duration": "1s"}})
    world.delete("rollbackpolicy")

    done = world.wait_for_result()

    assert done["status"]["result"] == "Succeeded"
    assert done["status"]["procedure"]["settle"] == "1s"
    assert [e["trigger"] for e in done["status"]["evidence"]] == ["accuracy"]
    assert [q["version"] for q in world.status()["quarantined"]] == ["v13"]


def _two(world: World, version: str, **options: Any) -> None:
    world.apply(systems.deployment(version, name="features", **options), systems.deployment(version))


def _chain() -> systems.Manifest:
    manifest = systems.model_deployment()
    target = {"apiVersion": "apps/v1", "kind": "Deployment"}
    manifest["spec"]["components"] = [
        {"name": "features", "type": "Pipeline", "targetRef": {**target, "name": "features"}},
        {"name": "model", "targetRef": {**target, "name": "recommender"}, "dependsOn": ["features"]},
    ]
    return manifest


def test_a_right_that_is_taken_away_half_way_halts_it_until_it_is_back(
    world: World, operators: Operators
) -> None:
    _two(world, "v12", annotations={"sim/ready-after": "3s"})
    world.apply(_chain())
    operators.start()
    world.wait_for_version("v12", verified=True)
    _two(world, "v13")
    world.wait_for_version("v13")
    world.quality(BAD)
    wait_until(lambda: world.image("features").endswith(":v12"), 60, describe="features to be written")
    with world.without_right("patch", "deployments"):
        halted = world.wait_for_rollback("Halted", is_("True", "Forbidden"))
        assert "Reverted: features. Not touched: model." in halted["message"]
    world.quality(GOOD)
    world.say("Resume")

    assert world.wait_for_result()["status"]["result"] == "Succeeded"
    assert world.image() == systems.image_of("v12")


def test_what_is_deleted_ends_it_and_blocks_nothing(protected: World, operator: OperatorProcess) -> None:
    protected.patch("rollbackpolicy", {"validation": LONG, "guards": {"cooldown": "0s"}})
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    protected.wait_for_rollback("Reverted", is_("True"))
    protected.delete("modeldeployment")
    ended = wait_until(
        protected.rollback, accept=lambda r: r["status"].get("result"), describe="the Rollback to end"
    )
    assert ended["status"]["result"] == "Aborted"
    complete = next(c for c in ended["status"]["conditions"] if c["type"] == "Complete")
    assert complete["message"] == "The ModelDeployment was deleted. Reverted: model."
    protected.wait_for_event("RollbackAborted")

    protected.quality(GOOD)
    protected.apply(systems.model_deployment())
    protected.wait_for_version("v12", verified=True)
    protected.deploy("v14")
    protected.wait_for_version("v14")
    protected.apply(systems.manual("before-the-end"))
    protected.wait_for_condition("rollback", "Reverted", is_("True"), "before-the-end")
    protected.kubectl("delete", "namespace", protected.namespace, "--timeout=60s")
    assert operator.process.poll() is None
    protected.wait_for_ticks(operator, 0)


def _executor(world: World) -> None:
    """An account that may patch Deployments; the operator may act as it, and may not patch them itself."""
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}]
    role: systems.Manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "rollback-executor"},
        "rules": rules,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "rollback-executor"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "rollback-executor",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "rollback-executor"}],
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "rollback-executor"}}
    world.apply(account, role, binding)
    own = world.kubectl.json("get", "role", SERVICE_ACCOUNT, namespace=world.namespace)["rules"]
    for rule in own:
        if "deployments" in rule["resources"]:
            rule["verbs"].remove("patch")
    impersonate = {
        "apiGroups": [""],
        "resources": ["serviceaccounts"],
        "verbs": ["impersonate"],
        "resourceNames": ["rollback-executor"],
    }
    world.set_rules([*own, impersonate])


def test_targets_are_written_as_the_account_that_is_named_when_all_that_pods_need_is_there(
    world: World, operators: Operators, audit: Audit
) -> None:
    """v12 reads a ConfigMap that is deleted with v13, and comes back; and a Secret that the operator may not see."""
    _executor(world)
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    old = systems.deployment("v12")
    container = old["spec"]["template"]["spec"]["containers"][0]
    container["envFrom"] = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "token"}}]
    system = systems.model_deployment()
    system["spec"]["serviceAccountName"] = "rollback-executor"
    world.apply(settings, old, system)
    operators.start()
    world.wait_for_version("v12", verified=True)
    world.deploy("v13")
    world.wait_for_version("v13")
    world.delete("configmap", "settings")
    mark = audit.mark()
    world.quality(BAD)

    waits = world.wait_for_rollback("Planned", is_("False", "ArtifactMissing"))
    assert "needs what is not there: ConfigMap settings" in waits["message"]
    assert world.image() == systems.image_of("v13")
    world.apply(settings)
    world.wait_for_image("v12")
    world.quality(GOOD)
    done = world.wait_for_result()

    assert done["status"]["result"] == "Succeeded"
    assert done["status"]["procedure"]["serviceAccountName"] == "rollback-executor"
    planned = next(c for c in done["status"]["conditions"] if c["type"] == "Planned")
    assert "not checked, because the operator may not look: Secret token" in planned["message"]
    account = f"system:serviceaccount:{world.namespace}:rollback-executor"
    patches = [
        e
        for e in audit.since(mark, user=world.actor, resource="deployments")
        if e.verb == "patch" and e.code == 200
    ]
    assert {e.impersonated for e in patches} == {account}
    assert sum(e.writes for e in patches) == 1
