"""`kubectl rollback lint`: what, where, and how to mend it."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_rollback.cli.rules import RULES, name_of
from tests.unit.api.objects import (
    ABSENT,
    MODEL_DEPLOYMENT,
    OBJECTS,
    ROLLBACK_POLICY,
    Document,
    Row,
    with_fields,
)
from tests.unit.cli.running import run

ROOT = Path(__file__).resolve().parents[3]
TRIGGER = "spec.triggers.0"


def lint(*documents: Any, strict: bool = False) -> tuple[int, list[dict[str, Any]]]:
    text = "---\n".join(yaml.safe_dump(d, sort_keys=False) for d in documents)
    outcome = run("lint", "-", "-o", "json", *(["--strict"] if strict else []), stdin=text)
    return outcome.code, [f for f in outcome.json["findings"] if f["severity"] != "note"]


@dataclass(frozen=True)
class Case:
    """What is changed in the smallest pair, which rule speaks, and of which field."""

    rule: str
    change: Document
    field: str
    severity: str = "warning"
    system: Document = field(default_factory=dict)


CASES = [
    Case(
        "unknown-model-deployment",
        {"spec.modelDeploymentRef.name": "recomender"},
        "spec.modelDeploymentRef.name",
        "error",
    ),
    Case(
        "undeclared-target", {"spec.target": {"strategy": "Pinned", "version": "v12"}}, "spec.target.version"
    ),
    Case("undeclared-target", {"spec.target": {"fallbacks": ["v12"]}}, "spec.target.fallbacks[0]"),
    Case("unattested", {"spec.target": {"requires": ["bias-audit"]}}, "spec.target.requires[0]"),
    Case("age-above-lookback", {f"{TRIGGER}.maxSampleAge": "5m"}, "spec.triggers[0].maxSampleAge"),
    Case("age-below-interval", {f"{TRIGGER}.maxSampleAge": "10s"}, "spec.triggers[0].maxSampleAge"),
    Case("no-hysteresis", {f"{TRIGGER}.recoverAt": "0.90"}, "spec.triggers[0].recoverAt"),
    Case("fires-at-once", {f"{TRIGGER}.for": ABSENT}, "spec.triggers[0]"),
    Case("never-fires", {f"{TRIGGER}.maxHold": "10s"}, "spec.triggers[0].maxHold", "error"),
    Case("for-below-interval", {f"{TRIGGER}.for": "10s"}, "spec.triggers[0].for"),
    Case("window-below-interval", {f"{TRIGGER}.query": "avg_over_time(x[5s])"}, "spec.triggers[0].query"),
    Case("comparison-in-query", {f"{TRIGGER}.query": "(x < 0.9)"}, "spec.triggers[0].query"),
    Case("reversed-breach", {f"{TRIGGER}.type": "Latency"}, "spec.triggers[0].breach.operator"),
    Case("outage-breaches", {f"{TRIGGER}.onError": "Breach"}, "spec.triggers[0].onError"),
    Case("outage-breaches", {f"{TRIGGER}.onNoData": "Breach"}, "spec.triggers[0].onNoData"),
    Case(
        "settle-below-window",
        {f"{TRIGGER}.query": "rate(x[5m])", "spec.validation": {"settle": "1m"}},
        "spec.validation.settle",
    ),
    Case(
        "unproved",
        {"spec.validation": {"probes": [{"name": "r", "readiness": {}}]}},
        "spec.validation.probes",
    ),
    Case(
        "unverified-target",
        {"spec.target": {"allowUnverified": "WhenNoVerified"}},
        "spec.target.allowUnverified",
    ),
    Case("no-cooldown", {"spec.guards": {"cooldown": "0s"}}, "spec.guards.cooldown"),
    Case("short-quarantine", {"spec.quarantine": {"duration": "10m"}}, "spec.quarantine.duration"),
]


def test_every_rule_has_a_case():
    assert {case.rule for case in CASES} == {name_of(rule) for rule in RULES}
    assert all(rule.__doc__ for rule in RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.rule}: {c.field}")
def test_a_rule_speaks_of_its_field_and_of_nothing_else(case: Case):
    policy = with_fields(ROLLBACK_POLICY, case.change)

    code, findings = lint(with_fields(MODEL_DEPLOYMENT, case.system), policy)

    assert [(f["rule"], f["field"], f["severity"]) for f in findings] == [
        (case.rule, case.field, case.severity)
    ]
    assert findings[0]["mend"]
    assert code == (case.severity == "error")
    assert lint(MODEL_DEPLOYMENT, policy, strict=True)[0] == 1


@pytest.mark.parametrize(
    "query", ["x < bool 0.9", "x - 0.9", "sum(x > 0.5)"], ids=["bool", "arithmetic", "inside an aggregation"]
)
def test_a_query_that_returns_a_value_is_no_filter(query: str):
    code, findings = lint(with_fields(ROLLBACK_POLICY, {f"{TRIGGER}.query": query}), strict=True)

    assert (code, findings) == (0, [])


@pytest.mark.parametrize(
    "change",
    [
        {f"{TRIGGER}.for": ABSENT, f"{TRIGGER}.action": "Notify"},
        {"spec.triggers": [{"name": "slo", "alert": {"name": "RecommenderSLOBurn"}}]},
    ],
    ids=["a trigger that only notifies", "an alert"],
)
def test_what_may_fire_at_once(change: Document):
    assert lint(with_fields(ROLLBACK_POLICY, change), strict=True) == (0, [])


def test_objects_of_one_name_in_two_directories_do_not_meet(tmp_path: Path):
    pair = yaml.safe_dump_all([MODEL_DEPLOYMENT, ROLLBACK_POLICY])
    pinned = with_fields(ROLLBACK_POLICY, {"spec.target": {"strategy": "Pinned", "version": "v12"}})
    for name, text in (("a", pair), ("b", yaml.safe_dump_all([MODEL_DEPLOYMENT, pinned]))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(text)

    outcome = run("lint", str(tmp_path), "-o", "json")

    assert [(f["rule"], f["file"]) for f in outcome.json["findings"]] == [
        ("undeclared-target", str(tmp_path / "b/policy.yaml"))
    ]


def test_the_smallest_pair_is_without_a_finding():
    assert lint(MODEL_DEPLOYMENT, ROLLBACK_POLICY, strict=True) == (0, [])


@pytest.mark.parametrize("row", OBJECTS, ids=lambda r: r.id)
def test_the_table_of_good_and_bad_objects(row: Row):
    code, findings = lint(row.document)
    errors = [f for f in findings if f["severity"] == "error"]

    assert code == (row.says is not None)
    if row.says is None:
        assert errors == []
    else:
        assert row.says.lower() in json.dumps(errors).lower()


def test_a_finding_names_file_line_and_column(tmp_path: Path):
    file = tmp_path / "policy.yaml"
    file.write_text(
        "apiVersion: modelrollback.dev/v1alpha1\n"
        "kind: RollbackPolicy\n"
        "metadata: {name: recommender}\n"
        "spec:\n"
        "  modelDeploymentRef: {name: recommender}\n"
        "  triggers:\n"
        "  - name: accuracy\n"
        "    query: sum(rate(x[5m])\n"
        '    breach: {operator: LesThan, treshold: "0.9"}\n'
    )

    outcome = run("lint", str(tmp_path))

    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert lines[0] == (
        f"{file}:8:5: error [promql] RollbackPolicy recommender: spec.triggers[0].query: "
        "is not valid PromQL: unclosed left parenthesis (line 1, column 4)"
    )
    assert (
        f"{file}:9:14: error [schema] RollbackPolicy recommender: spec.triggers[0].breach.operator"
        in outcome.out
    )
    assert '    did you mean "LessThan"?' in lines
    assert f"{file}:9:33: error [schema]" in outcome.out
    assert '    did you mean "threshold"?' in lines
    assert lines[-1] == "1 object checked: 4 errors, 0 warnings"


def test_a_mistyped_preset_is_told_with_the_name_that_was_meant(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(
        "apiVersion: modelrollback.dev/v1alpha1\n"
        "kind: RollbackPolicy\n"
        "metadata: {name: recommender}\n"
        "spec:\n"
        "  modelDeploymentRef: {name: recommender}\n"
        "  triggers:\n"
        "  - name: p95\n"
        "    preset: KServeLatencyP59\n"
        '    breach: {operator: GreaterThan, threshold: "0.4"}\n'
    )

    outcome = run("lint", str(file))

    assert outcome.code == 1
    assert "spec.triggers[0].preset: is 'KServeLatencyP59', and there is no such preset" in outcome.out
    assert f"{file}:8:5: error [preset]" in outcome.out
    assert "    did you mean KServeLatencyP95?" in outcome.out.splitlines()


@pytest.mark.parametrize(
    "change",
    [
        {f"{TRIGGER}.traffic": {"query": "sum(", "atLeast": "5"}},
        {f"{TRIGGER}.breach": {"operator": "DropsBy", "threshold": "10%", "baseline": {"query": "sum("}}},
    ],
    ids=["traffic", "baseline"],
)
def test_every_query_is_checked(change: Document):
    code, findings = lint(with_fields(ROLLBACK_POLICY, change))

    assert code == 1
    assert [f["rule"] for f in findings] == ["promql"]
    assert "is not valid PromQL" in findings[0]["message"]


def test_other_kinds_are_passed_over_with_a_note():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "recommender"}}
    text = yaml.safe_dump_all([service, ROLLBACK_POLICY, {"policy": "recommender.yaml"}])

    outcome = run("lint", "-", stdin=text)

    assert outcome.code == 0
    assert "-:1:1: note [ignored] Service is no kind of modelrollback.dev: not looked at" in outcome.out
    assert "this is no Kubernetes object: not looked at" in outcome.out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"apiVersion": "modelrollback.dev/v1"}, "write modelrollback.dev/v1alpha1"),
        ({"kind": "RollbackPolice"}, 'did you mean "RollbackPolicy"?'),
        ({"metadata": {"name": "Recommender_1"}}, "no name of an object"),
        ({"sepc": {}}, 'did you mean "spec"?'),
    ],
)
def test_what_surrounds_the_spec_is_checked_too(change: Document, says: str):
    code, findings = lint({**ROLLBACK_POLICY, **change})

    assert code == 1
    assert any(says in f["mend"] + f["message"] for f in findings)


def test_a_key_and_an_object_that_are_given_twice():
    text = (
        yaml.safe_dump(ROLLBACK_POLICY) + "---\n" + yaml.safe_dump(ROLLBACK_POLICY) + "kind: RollbackPolicy\n"
    )

    outcome = run("lint", "-", stdin=text)

    assert outcome.code == 1
    assert "kind: this key is given twice" in outcome.out
    assert "RollbackPolicy recommender is given twice; first in -:1" in outcome.out


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        ("a: [1", "-:1:6: this is no YAML"),
        ("", "the files hold no object of modelrollback.dev"),
        ("kind: Service", "the files hold no object of modelrollback.dev"),
    ],
    ids=["no YAML", "empty", "nothing of ours"],
)
def test_unusable_input(stdin: str, says: str):
    outcome = run("lint", "-", stdin=stdin)

    assert outcome.code == 2
    assert says in outcome.err


def test_a_file_that_is_not_there(tmp_path: Path):
    outcome = run("lint", str(tmp_path / "none.yaml"))

    assert outcome.code == 2
    assert "there is no such file or directory" in outcome.err
    assert run("lint").code == 2


def test_one_unusable_file_does_not_hide_the_findings_of_another(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("a: [1")
    (tmp_path / "b.yaml").write_text(yaml.safe_dump({**ROLLBACK_POLICY, "kind": "RollbackPolice"}))

    outcome = run("lint", str(tmp_path))

    assert outcome.code == 2
    assert "did you mean" in outcome.out
    assert "a.yaml" in outcome.err


@pytest.mark.parametrize("story", sorted(p.name for p in (ROOT / "examples").iterdir() if p.is_dir()))
def test_the_shipped_examples_have_no_findings(story):
    outcome = run("lint", "--strict", str(ROOT / "examples" / story))
    assert outcome.code == 0, outcome.out


def test_the_operators_own_process_does_without_the_plugins_libraries():
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "model_rollback", "--help"],
        cwd=ROOT / "operator",
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    imported = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert "model_rollback.app" in imported
    assert not {
        name for name in imported if name.startswith(("typer", "rich.", "matplotlib", "model_rollback.cli"))
    }
