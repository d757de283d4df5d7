"""What breaks in a trial: three components, of which one must be back before the two others go, side by side."""

from typing import Any

from tests.scenario import systems

COMPONENTS = {"features": "features", "model": "recommender", "router": "router"}
"""Component → its Deployment; the accuracy is that of `recommender`."""

DEPENDS_ON: dict[str, tuple[str, ...]] = {"features": (), "model": ("features",), "router": ("features",)}

REPLICAS = 1


def deployments(version: str) -> list[systems.Manifest]:
    """All of them at that version."""
    manifests = [systems.deployment(version, name=name) for name in COMPONENTS.values()]
    for manifest in manifests:
        manifest["spec"]["replicas"] = REPLICAS
    return manifests


def model_deployment() -> systems.Manifest:
    """Recorded at once, Verified after 1 s of healthy metrics."""
    manifest = systems.model_deployment(stabilizeFor="0s", verifiedAfter="1s")
    manifest["spec"]["components"] = [_component(name) for name in COMPONENTS]
    return manifest


def _component(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "Model" if name == "model" else "Pipeline",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": COMPONENTS[name]},
        "dependsOn": list(DEPENDS_ON[name]),
    }


def policy(namespace: str) -> systems.Manifest:
    """No cooldown: if a second Rollback does not come, that is because the breach is answered."""
    return systems.policy(
        namespace,
        validation={"settle": "0s", "duration": "1s"},
        guards={"cooldown": "0s"},
        execution={"stepTimeout": "120s"},
    )
