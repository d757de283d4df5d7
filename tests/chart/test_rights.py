"""What the chart's ServiceAccount may do, asked of the API server's own authorizer with the account's own token."""

import pytest

from tests.support.asking import api_server
from tests.support.commands import CommandError
from tests.support.identity import service_account_kubeconfig

pytestmark = pytest.mark.cluster

OURS = "modelrollback.dev"
RBAC = "rbac.authorization.k8s.io"

KINDS = ("modeldeployments", "rollbackpolicies", "rollbacks")

TARGETS = (
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("", "configmaps"),
    ("argoproj.io", "rollouts"),
    ("mlops.seldon.io", "models"),
    ("ray.io", "rayservices"),
    ("serving.kserve.io", "inferenceservices"),
)

IN_A_WATCHED_NAMESPACE = {
    *((verb, OURS, kind) for kind in KINDS for verb in ("get", "list", "watch")),
    *(("patch", OURS, f"{kind}/status") for kind in KINDS),
    *((verb, OURS, "rollbacks") for verb in ("create", "delete")),
    *((verb, *kind) for kind in TARGETS for verb in ("get", "list", "watch", "patch")),
    *((verb, "apps", "controllerrevisions") for verb in ("get", "list", "create", "delete")),
    ("get", "", "services"),
    ("list", "", "pods"),
    ("get", "", "pods/log"),
    *((verb, "batch", "jobs") for verb in ("get", "create", "patch")),
    *(("get", "", kind) for kind in ("persistentvolumeclaims", "serviceaccounts")),
    *((verb, "events.k8s.io", "events") for verb in ("create", "patch")),
}
IN_THE_WHOLE_CLUSTER = {
    (verb, "apiextensions.k8s.io", "customresourcedefinitions") for verb in ("list", "watch")
}
IN_THE_OWN_NAMESPACE = {(verb, "coordination.k8s.io", "leases") for verb in ("create", "get", "update")}
"""`get` and `update` of one Lease only: of any other they are among the forbidden ones."""

FORBIDDEN = [
    ("deletecollection", OURS, "rollbacks"),
    ("patch", OURS, "rollbacks"),
    ("update", OURS, "rollbacks/status"),
    ("update", OURS, "rollbackpolicies"),
    ("create", OURS, "rollbackpolicies"),
    ("patch", OURS, "modeldeployments"),
    ("delete", OURS, "modeldeployments"),
    ("patch", "apps", "deployments/scale"),
    ("patch", "apps", "deployments/status"),
    ("update", "apps", "deployments"),
    ("create", "apps", "deployments"),
    ("delete", "apps", "deployments"),
    ("create", "apps", "statefulsets"),
    ("patch", "apps", "replicasets"),
    ("deletecollection", "apps", "controllerrevisions"),
    ("patch", "apps", "controllerrevisions"),
    ("create", "", "pods"),
    ("create", "", "pods/exec"),
    ("get", "", "pods"),
    ("delete", "", "pods"),
    ("get", "", "secrets"),
    ("list", "", "secrets"),
    ("patch", "", "secrets"),
    ("create", "", "configmaps"),
    ("create", "batch", "cronjobs"),
    ("create", "", "secrets"),
    ("delete", "batch", "jobs"),
    ("create", "", "serviceaccounts/token"),
    ("impersonate", "", "users"),
    ("impersonate", "", "groups"),
    ("impersonate", "", "serviceaccounts"),
    ("get", "", "namespaces"),
    ("list", "", "services"),
    ("create", "", "events"),
    ("create", RBAC, "rolebindings"),
    ("bind", RBAC, "clusterroles"),
    ("escalate", RBAC, "roles"),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("get", "coordination.k8s.io", "leases"),
    ("update", "coordination.k8s.io", "leases"),
    ("delete", "coordination.k8s.io", "leases"),
    ("*", "*", "*"),
]


def row(right: tuple[str, str, str]) -> str:
    verb, group, resource = right
    return f"{verb} {resource}{'.' if group else ''}{group}"


def token_of(release, tmp_path_factory):
    """kubectl with the token of the operator's ServiceAccount and nothing else."""
    folder = tmp_path_factory.mktemp("identity")
    return release.kubectl.as_identity(
        service_account_kubeconfig(release.kubectl, release.namespace, release.full_name, folder)
    )


@pytest.fixture(scope="module")
def everywhere(install, fresh_namespace):
    """A release that watches all namespaces."""
    return install(watched=fresh_namespace("shop"))


@pytest.fixture(scope="module")
def confined(install, fresh_namespace):
    """A release that watches one namespace."""
    watched = fresh_namespace("shop")
    return install(f"--set=watchNamespaces={{{watched}}}", watched=watched)


@pytest.fixture(scope="module")
def operator(everywhere, tmp_path_factory):
    return token_of(everywhere, tmp_path_factory)


@pytest.fixture(scope="module")
def confined_operator(confined, tmp_path_factory):
    return token_of(confined, tmp_path_factory)


def may(kubectl, right: tuple[str, str, str], namespace: str) -> bool:
    """The authorizer's answer to a SelfSubjectAccessReview; an empty namespace asks for all of them."""
    verb, group, resource = right
    resource, _, subresource = resource.partition("/")
    attributes = {
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": namespace,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return create(kubectl, review)["status"]["allowed"]


def create(kubectl, review: dict) -> dict:
    """Asked without a process: there are more than a hundred rows."""
    server = api_server(kubectl.kubeconfig)
    return server.ask("POST", server.resource(review["kind"]), namespace=None, body=review)


def rights(kubectl, namespace: str) -> set[tuple[str, str, str]]:
    """Everything that the account may do in the namespace, as the API server lists it."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    status = create(kubectl, review)["status"]
    assert not status["incomplete"], status
    return {
        (verb, group, resource)
        for rule in status["resourceRules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.fixture(scope="module")
def everybody(everywhere, tmp_path_factory):
    """What any ServiceAccount may do: the reviews themselves."""
    admin = everywhere.kubectl
    admin("create", "serviceaccount", "nobody", namespace=everywhere.watched)
    folder = tmp_path_factory.mktemp("nobody")
    nobody = admin.as_identity(service_account_kubeconfig(admin, everywhere.watched, "nobody", folder))
    return rights(nobody, everywhere.watched)


@pytest.mark.parametrize("right", sorted(IN_A_WATCHED_NAMESPACE | IN_THE_WHOLE_CLUSTER), ids=row)
def test_the_operator_may(operator, right):
    assert may(operator, right, namespace="")


@pytest.mark.parametrize("right", FORBIDDEN, ids=row)
def test_the_operator_may_not(operator, everywhere, right):
    assert not may(operator, right, namespace=everywhere.watched)
    assert not may(operator, right, namespace=everywhere.namespace)


def test_the_operator_has_these_rights_and_no_other(operator, everywhere, everybody):
    assert rights(operator, everywhere.watched) - everybody == IN_A_WATCHED_NAMESPACE | IN_THE_WHOLE_CLUSTER


def test_a_confined_operator_has_rights_in_its_namespace_only(
    confined_operator, confined, everywhere, everybody
):
    assert rights(confined_operator, confined.watched) - everybody == IN_A_WATCHED_NAMESPACE
    assert rights(confined_operator, everywhere.watched) - everybody == set()
    assert rights(confined_operator, confined.namespace) - everybody == IN_THE_OWN_NAMESPACE


def test_a_token_can_patch_a_deployment_and_not_delete_it(operator, everywhere):
    admin, namespace = everywhere.kubectl, everywhere.watched
    admin("create", "deployment", "recommender", "--image=model:v13", namespace=namespace)
    change = '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "model:v12"}]'

    operator("patch", "deployment", "recommender", "--type=json", f"--patch={change}", namespace=namespace)

    container = admin.json("get", "deployment", "recommender", namespace=namespace)["spec"]["template"][
        "spec"
    ]["containers"][0]
    assert container["image"] == "model:v12"
    with pytest.raises(CommandError, match="cannot delete resource"):
        operator("delete", "deployment", "recommender", namespace=namespace)
