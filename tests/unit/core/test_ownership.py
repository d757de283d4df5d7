"""Who is known to manage a target from elsewhere."""

import pytest

from model_rollback.core.live import observe
from model_rollback.core.ownership import external_manager
from tests.unit.core.builders import deployment, make_component

TRACKING = "argocd.argoproj.io/tracking-id"
HELM = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": "shop"},
}


def manager(name, fields="f:spec", **more):
    return {"managedFields": [{"manager": name, "operation": "Apply", "fieldsV1": {fields: {}}, **more}]}


MANAGED = {
    "Argo CD by annotation": (
        {"annotations": {TRACKING: "recommender:apps/Deployment:shop/model"}},
        "Argo CD application recommender",
    ),
    "Argo CD by label": (
        {"labels": {"argocd.argoproj.io/instance": "recommender"}},
        "Argo CD application recommender",
    ),
    "a Flux Kustomization": (
        {
            "labels": {
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            }
        },
        "Flux Kustomization flux-system/apps",
    ),
    "a Flux HelmRelease, though Helm's own marks are there as well": (
        {
            "labels": {
                **HELM["labels"],
                "helm.toolkit.fluxcd.io/name": "shop",
                "helm.toolkit.fluxcd.io/namespace": "shop",
            },
            "annotations": HELM["annotations"],
        },
        "Flux HelmRelease shop/shop",
    ),
    "Helm": (HELM, "Helm release shop"),
    "Argo CD by field manager": (manager("argocd-controller"), "Argo CD"),
    "Flux by field manager": (manager("kustomize-controller"), "Flux (kustomize-controller)"),
    "Helm by field manager": (manager("helm"), "Helm"),
}


@pytest.mark.parametrize("case", MANAGED)
def test_a_manager_is_known_by_its_marks(case):
    metadata, words = MANAGED[case]

    assert external_manager(deployment(**metadata)) == words


NOT_MANAGED = {
    "no marks": {},
    "null where marks would be": {"labels": None, "annotations": None, "managedFields": None},
    "the tracking annotation of its parent": {"annotations": {TRACKING: "x:kserve.io/InferenceService:shop/model"}},
    "the tracking annotation of another Deployment": {"annotations": {TRACKING: "x:apps/Deployment:shop/other"}},
    "the common instance label": {"labels": {"app.kubernetes.io/instance": "recommender"}},
    "Helm's label without a release": {"labels": HELM["labels"]},
    "kubectl": manager("kubectl-client-side-apply"),
    "a GitOps tool that wrote labels only": manager("argocd-controller", "f:metadata"),
    "a GitOps tool that wrote the status": manager("helm", subresource="status"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_MANAGED)
def test_what_is_no_sign_of_a_manager(case):
    assert external_manager(deployment(**NOT_MANAGED[case])) == ""


def test_a_look_at_a_target_tells_its_manager_and_whether_it_is_paused():
    component = make_component()
    paused = deployment(**HELM)
    paused["spec"]["paused"] = True

    assert observe(component, paused).managed_by == "Helm release shop"
    assert observe(component, paused).paused
    assert not observe(component, deployment()).paused
