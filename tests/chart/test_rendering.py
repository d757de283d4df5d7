"""What helm makes of the chart and its values, without a cluster."""

import json
import re

import pytest
import yaml

from model_rollback.presets.kinds import add_folder
from model_rollback.settings import load
from tests.chart.conftest import CHART, NAME
from tests.support.commands import CommandError
from tests.support.places import ROOT

FULL_NAME = f"demo-{NAME}"
KINDS = [
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "CustomResourceDefinition",
    "CustomResourceDefinition",
    "CustomResourceDefinition",
    "Deployment",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
]
LEADER = ("Role", "RoleBinding")
"""For the Lease, in the namespace of the release."""


def without(*kinds: str) -> list[str]:
    return [kind for kind in KINDS if kind not in kinds]


def only(manifests: list[dict], kind: str) -> dict:
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def configuration(manifests: list[dict]) -> dict:
    return yaml.safe_load(only(manifests, "ConfigMap")["data"]["config.yaml"])


def test_helm_lint_is_content(offline_helm, chart):
    assert "0 chart(s) failed" in offline_helm("lint", "--strict", chart)


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        pytest.param({}, KINDS, id="defaults"),
        pytest.param({"crds": {"install": False}}, without("CustomResourceDefinition"), id="crds elsewhere"),
        pytest.param(
            {"rbac": {"create": False}}, without("ClusterRole", "ClusterRoleBinding", *LEADER), id="no rbac"
        ),
        pytest.param(
            {"leaderElection": {"enabled": False}, "replicas": 1},
            without(*LEADER),
            id="one replica, no election",
        ),
        pytest.param(
            {"serviceAccount": {"create": False, "name": "mine"}},
            without("ServiceAccount"),
            id="own service account",
        ),
        pytest.param(
            {"watchNamespaces": ["shop", "search"]},
            sorted([*without("ClusterRole", "ClusterRoleBinding"), *["Role", "RoleBinding"] * 2]),
            id="two namespaces",
        ),
        pytest.param(
            {
                "imagePullSecrets": [{"name": "pull"}],
                "env": [{"name": "MODEL_ROLLBACK_LOG__LEVEL", "value": "debug"}],
                "serviceAccount": {"annotations": {"team": "ml"}},
                "service": {"annotations": {"team": "ml"}},
                "podAnnotations": {"team": "ml"},
                "podLabels": {"team": "ml"},
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": [{"operator": "Exists"}],
                "affinity": {"nodeAffinity": {}},
                "priorityClassName": "system-cluster-critical",
                "resources": {"requests": {"cpu": 1, "memory": "1Gi"}},
                "global": {"from": "a parent chart"},
            },
            KINDS,
            id="everything optional",
        ),
    ],
)
def test_values_decide_which_objects_there_are(render, values, kinds):
    manifests = render(**values)

    assert sorted(manifest["kind"] for manifest in manifests) == kinds
    assert all(manifest["apiVersion"] and manifest["metadata"]["name"] for manifest in manifests)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"metricSources": {}}, "'metricSources' not allowed", id="typo at the top"),
        pytest.param(
            {"crds": {"kepp": True}}, "'/crds': additional properties 'kepp' not allowed", id="typo below"
        ),
        pytest.param(
            {"metricsSources": {"default": {"uri": "http://x"}}},
            "'/metricsSources/default': additional properties 'uri' not allowed",
            id="typo in a source",
        ),
        pytest.param({"metricsSources": {"eu": {"timeout": "5s"}}}, "missing property 'url'", id="no url"),
        pytest.param(
            {"metricsSources": {"eu": {"url": "eu:9090"}}}, "'/metricsSources/eu/url'", id="no scheme"
        ),
        pytest.param({"metricsSources": {"EU": {"url": "http://x"}}}, "'EU'", id="name of a source"),
        pytest.param({"metricsSources": {"default": None}}, "minProperties", id="no source"),
        pytest.param(
            {"metricsSources": {"default": {"timeout": "1d"}}},
            "'/metricsSources/default/timeout'",
            id="no such unit",
        ),
        pytest.param(
            {"metricsSources": {"eu": {"url": "http://me:pw@eu"}}},
            "'/metricsSources/eu/url'",
            id="password in URL",
        ),
        pytest.param(
            {
                "metricsSources": {
                    "eu": {"url": "http://eu", "basicAuth": {"username": "me", "password": "pw"}}
                }
            },
            "additional properties 'password' not allowed",
            id="password in the values",
        ),
        pytest.param({"probes": {"resolve": ["shop:8080"]}}, "'/probes/resolve/0'", id="resolve to nowhere"),
        pytest.param({"log": {"level": "loud"}}, "one of 'debug', 'info', 'warning', 'error'", id="level"),
        pytest.param({"http": {"port": 80}}, "'/http/port': minimum: got 80", id="privileged port"),
        pytest.param(
            {"leaderElection": {"enabled": False}},
            "replicas above 1 need leaderElection.enabled",
            id="two that both decide",
        ),
        pytest.param({"image": {"digest": "9c41"}}, "'/image/digest'", id="digest"),
        pytest.param(
            {"watchNamespaces": ["team-*"]}, "'/watchNamespaces/0': 'team-*'", id="pattern of names"
        ),
        pytest.param(
            {"serviceAccount": {"create": False}}, "serviceAccount.name is needed", id="nameless account"
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(render, values, message):
    with pytest.raises(CommandError, match=re.escape(message)):
        render(**values)


def test_the_schema_knows_every_value_and_no_other():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert set(schema["properties"]) - {"global"} == set(values)


def test_the_configuration_file_holds_what_the_values_say(render):
    manifests = render(
        metricsSources={"default": None, "eu": {"url": "https://eu.example:9090", "timeout": "1m30s"}},
        probes={"resolve": ["recommender.shop.svc:8080=127.0.0.1:9001"]},
        watchNamespaces=["shop"],
        log={"format": "console"},
        http={"host": "::", "port": 9000},
    )

    assert configuration(manifests) == {
        "metricsSources": {"eu": {"url": "https://eu.example:9090", "timeout": "1m30s"}},
        "probes": {"allowedHosts": [], "resolve": ["recommender.shop.svc:8080=127.0.0.1:9001"]},
        "namespaces": ["shop"],
        "log": {"format": "console", "level": "info"},
        "http": {"host": "::", "port": 9000},
        "leaderElection": {"enabled": True, "namespace": "operators", "name": FULL_NAME},
    }
    container = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["--config", "/etc/model-rollback/config.yaml"]
    assert container["ports"][0]["containerPort"] == 9000
    assert only(manifests, "Service")["spec"]["ports"][0]["port"] == 9000


def test_a_source_gets_its_credentials_from_a_mounted_secret(render, tmp_path):
    source = {
        "url": "https://eu.example",
        "namespaces": ["shop"],
        "tenant": "shop",
        "basicAuth": {"username": "rollback", "passwordFile": "/etc/eu/password"},
        "caFile": "/etc/eu/ca.crt",
        "partialResponse": "Allow",
        "concurrency": 3,
        "maxSeries": 5_000_000,
        "maxBytes": 67_108_864,
    }
    manifests = render(
        metricsSources={"default": None, "eu": source},
        volumes=[{"name": "eu", "secret": {"secretName": "eu-credentials"}}],
        volumeMounts=[{"name": "eu", "mountPath": "/etc/eu", "readOnly": True}],
    )
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(configuration(manifests)))

    read = load(["--config", str(file)]).metrics_sources["eu"]

    assert (read.max_series, read.max_bytes, read.tenant) == (5_000_000, 67_108_864, "shop")
    assert str(read.basic_auth.password_file) == "/etc/eu/password"
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    assert {"name": "eu", "secret": {"secretName": "eu-credentials"}} in pod["volumes"]
    assert pod["containers"][0]["volumeMounts"][-1]["mountPath"] == "/etc/eu"


@pytest.mark.parametrize(
    ("values", "restarts"),
    [
        pytest.param({"log": {"level": "debug"}}, True, id="the configuration"),
        pytest.param({"service": {"annotations": {"team": "ml"}}}, False, id="something else"),
    ],
)
def test_the_pod_is_replaced_when_its_configuration_changes(render, values, restarts):
    before, after = (only(render(**given), "Deployment")["spec"]["template"] for given in ({}, values))

    assert (before != after) is restarts


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        pytest.param({}, f"{NAME}:0.1.0", id="the app's version"),
        pytest.param({"tag": "dev"}, f"{NAME}:dev", id="a tag"),
        pytest.param(
            {"repository": "registry.example:5000/mro", "tag": "dev", "digest": f"sha256:{'9c' * 32}"},
            f"registry.example:5000/mro@sha256:{'9c' * 32}",
            id="a digest wins",
        ),
    ],
)
def test_the_image_is_named(render, image, reference):
    pod = only(render(image=image), "Deployment")["spec"]["template"]["spec"]

    assert pod["containers"][0]["image"] == reference


@pytest.mark.parametrize("keep", [True, False])
def test_the_definitions_are_those_of_the_project(render, keep):
    rendered = {
        manifest["metadata"]["name"]: manifest
        for manifest in render(crds={"keep": keep})
        if manifest["kind"] == "CustomResourceDefinition"
    }
    written = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]

    assert sorted(rendered) == sorted(crd["metadata"]["name"] for crd in written)
    assert all(rendered[crd["metadata"]["name"]]["spec"] == crd["spec"] for crd in written)
    policies = {
        crd["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for crd in rendered.values()
    }
    assert policies == ({"keep"} if keep else {None})


def test_an_empty_chart_says_how_to_get_its_definitions(offline_helm, chart, tmp_path):
    bare = tmp_path / "bare"
    for path in (path for path in chart.rglob("*") if path.is_file() and "crds" not in path.parts):
        copy = bare / path.relative_to(chart)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())

    with pytest.raises(
        CommandError, match=r"no CustomResourceDefinitions.*python -m model_rollback\.api\.crd"
    ):
        offline_helm("template", "demo", bare)


def test_every_right_says_which_code_needs_it():
    for template in ("_rules.tpl", "rbac.yaml"):
        lines = (CHART / "templates" / template).read_text().splitlines()
        rules = [number for number, line in enumerate(lines) if line.lstrip().startswith("- apiGroups:")]
        assert rules
        for number in rules:
            assert lines[number - 1].lstrip().startswith("# "), f"{template}:{number + 1}: {lines[number]}"


def test_no_right_outside_the_watched_namespaces(render):
    manifests = render(watchNamespaces=["shop", "search"])

    roles = [manifest for manifest in manifests if "rbac" in manifest["apiVersion"]]
    own = [role for role in roles if role["metadata"]["namespace"] == "operators"]
    assert [role["kind"] for role in own] == ["Role", "RoleBinding"]
    assert {resource for rule in own[0]["rules"] for resource in rule["resources"]} == {"leases"}
    assert sorted((role["kind"], role["metadata"]["namespace"]) for role in roles if role not in own) == [
        ("Role", "search"),
        ("Role", "shop"),
        ("RoleBinding", "search"),
        ("RoleBinding", "shop"),
    ]
    subjects = [subject for role in roles for subject in role.get("subjects", [])]
    assert subjects == [{"kind": "ServiceAccount", "name": FULL_NAME, "namespace": "operators"}] * 3


def test_target_kinds_of_the_users_own_are_mounted_and_named(render, tmp_path, monkeypatch):
    classifier = (ROOT / "tests/scenario/kinds/classifier.yaml").read_text()
    manifests = render(targetKinds={"classifier.yaml": yaml.safe_load(classifier)})

    by_name = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "ConfigMap"}
    folder = yaml.safe_load(by_name[FULL_NAME]["data"]["config.yaml"])["targetKinds"]
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    (mount,) = (m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == folder)
    (volume,) = (v for v in pod["volumes"] if v["name"] == mount["name"])
    for file, text in by_name[volume["configMap"]["name"]]["data"].items():
        tmp_path.joinpath(file).write_text(text)
    monkeypatch.setattr("model_rollback.presets.kinds._EXTRA", {})
    assert [k.kind for k in add_folder(tmp_path)] == ["Classifier"]
    assert "targetKinds" not in configuration(render())


def test_rights_on_more_targets_are_given_when_they_are_asked_for(render):
    def rules(**rbac):
        role = only(render(rbac=rbac), "ClusterRole")
        return {
            (g, r): rule["verbs"]
            for rule in role["rules"]
            for g in rule["apiGroups"]
            for r in rule["resources"]
        }

    target = ["get", "list", "watch", "patch"]
    more = rules(secrets=True, extraTargets=[{"apiGroup": "ml.example", "resources": ["classifiers"]}])
    usual = rules()
    added = {key: verbs for key, verbs in more.items() if key not in usual}
    assert added == {("", "secrets"): [*target, "create"], ("ml.example", "classifiers"): target}
