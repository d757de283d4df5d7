"""`kubectl rollback test`: the file format, what is simulated, and how a failure is told."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.unit.api.objects import MODEL_DEPLOYMENT, ROLLBACK_POLICY, Document, with_fields
from tests.unit.cli.running import Outcome, run

ROOT = Path(__file__).resolve().parents[3]
TRIGGER = "spec.triggers.0"
BREACH = "0.95x4 0.81x12"
"""With `for: 2m` at 15 s: Pending at 1m, Breached at 3m."""


def policy(**change: Any) -> Document:
    return with_fields(ROLLBACK_POLICY, {key.replace("__", "."): value for key, value in change.items()})


def play(*expect: Document, values: str = BREACH, **fields: Any) -> Outcome:
    document = {
        "policy": policy(),
        "answers": [{"trigger": "accuracy", "values": values}],
        "expect": list(expect) or [{"never": "rollback"}],
        **fields,
    }
    return run("test", "-", stdin=yaml.safe_dump(document))


def assert_holds(*expect: Document, **fields: Any) -> None:
    outcome = play(*expect, **fields)
    assert outcome.code == 0, outcome.out + outcome.err


def state(at: str, name: str, **fields: str) -> Document:
    return {"at": at, "trigger": "accuracy", "state": name, **fields}


def test_states_and_their_reasons():
    assert_holds(
        state("0s", "Healthy", reason="WithinThreshold"),
        state("1m", "Pending", reason="ThresholdExceeded"),
        state("2m45s", "Pending"),
        state("3m", "Breached", reason="ThresholdExceeded"),
        {"at": "3m", "rollback": {"to": "previous"}},
    )


def test_after_the_last_value_there_are_no_more_samples():
    assert_holds(state("0s", "Healthy"), state("15s", "NoData"), state("10m", "NoData"), values="0.95")


def test_a_trigger_without_answers_has_no_data():
    assert_holds(state("0s", "NoData"), {"never": "rollback"}, answers=[])


@pytest.mark.parametrize("word", ["NaN", "Inf", "-Inf", "_"])
def test_what_measures_nothing_is_no_data(word: str):
    assert_holds(
        state("1m", "NoData"), state("3m45s", "NoData"), {"never": "rollback"}, values=f"0.95x4 {word}x12"
    )


@pytest.mark.parametrize("word", ["timeout", "503", "partial", "badquery", "401", "422"])
def test_a_failed_request_is_an_error_and_no_breach(word: str):
    answers = [{"trigger": "accuracy", "values": "0.81x40", "failures": f"{word} x30"}]
    assert_holds(
        state("0s", "Error", reason="Error"),
        state("7m15s", "Error"),
        state("7m30s", "Pending"),
        state("9m30s", "Breached"),
        {"at": "9m30s", "rollback": {}},
        answers=answers,
    )


def test_the_policys_own_words_make_a_breach_of_silence():
    silent = policy(**{f"{TRIGGER}.onNoData": "Breach", f"{TRIGGER}.for": "30s"})
    assert_holds(
        state("30s", "Breached", reason="NoData"), {"at": "30s", "rollback": {}}, policy=silent, values="_x4"
    )


def test_old_samples_are_stale_and_no_breach():
    aged = policy(**{f"{TRIGGER}.maxSampleAge": "1m"})
    assert_holds(
        state("1m", "Stale", reason="Stale"),
        state("2m15s", "Pending"),
        {"never": "rollback"},
        policy=aged,
        values="0.95x4 old x5 0.81 old x20",
    )


def test_without_traffic_nothing_is_judged():
    busy = policy(**{f"{TRIGGER}.traffic": {"query": "sum(rate(requests_total[5m]))", "atLeast": "5"}})
    answers = [
        {"trigger": "accuracy", "values": "0.81x32"},
        {"trigger": "accuracy", "traffic": "10x4 0x8 10x20"},
    ]
    assert_holds(
        state("45s", "Pending"),
        state("1m", "LowTraffic", reason="LowTraffic"),
        state("3m", "Pending"),
        state("4m15s", "Breached"),
        {"at": "4m15s", "rollback": {}},
        policy=busy,
        answers=answers,
    )


@pytest.mark.parametrize(
    ("baseline", "answers"),
    [
        ({"offset": "1m"}, {"values": "0.95x8 0.80x4"}),
        ({"query": "champion"}, {"values": "0.95x8 0.80x4", "baseline": "0.95x12"}),
        ({"version": "Target"}, {"values": "0.95x8 0.80x4", "baseline": "0.95x12"}),
    ],
    ids=["offset", "query", "version"],
)
def test_a_relative_breach_has_its_baseline(baseline: Document, answers: Document):
    drop = {"operator": "DropsBy", "threshold": "10%", "baseline": baseline}
    assert_holds(
        state("1m45s", "Healthy"),
        state("2m", "Breached", reason="ThresholdExceeded"),
        {"at": "2m", "rollback": {}},
        policy=policy(**{f"{TRIGGER}.breach": drop, f"{TRIGGER}.for": "0s"}),
        answers=[{"trigger": "accuracy", **answers}],
    )


def test_a_baseline_of_which_nothing_is_said_is_no_data():
    drop = {"operator": "DropsBy", "threshold": "10%", "baseline": {"query": "champion"}}
    assert_holds(state("0s", "NoData"), {"never": "rollback"}, policy=policy(**{f"{TRIGGER}.breach": drop}))


def test_freeze_windows_have_a_clock():
    friday = {"freezeWindows": [{"schedule": "0 16 * * 5", "duration": "62h", "timeZone": "Europe/London"}]}
    frozen = policy(spec__guards=friday)
    assert_holds(
        {"at": "3m", "blocked": "FrozenWindow"},
        {"never": "rollback"},
        policy=frozen,
        start="2026-01-09T17:00:00Z",
    )
    assert_holds({"at": "3m", "rollback": {}}, policy=frozen, start="2026-01-12T10:00:00Z")


def test_the_budget_of_rollbacks():
    budget = policy(spec__guards={"cooldown": "0s", "maxRollbacks": {"count": 1, "per": "24h"}})
    assert_holds(
        {"at": "3m", "rollback": {"to": "v12"}},
        {"at": "30m", "blocked": "RollbackBudgetExhausted"},
        policy=budget,
        values="0.95x4 0.81x12 0.95x16 0.81x100",
        versions={"current": "v13", "verified": ["v12", "v11"]},
    )


def test_attestations_come_from_the_declared_versions():
    audited = policy(spec__target={"requires": ["bias-audit"]})
    assert_holds({"at": "3m", "blocked": "NoSafeTarget"}, {"never": "rollback"}, policy=audited)


def test_one_bad_series_of_several_is_enough_and_other_series_do_not_count():
    mine = policy(**{f"{TRIGGER}.series": {"model": "recommender"}, f"{TRIGGER}.for": "0s"})

    def series(pod: str, model: str, values: str) -> Document:
        return {"trigger": "accuracy", "series": {"pod": pod, "model": model}, "values": values}

    assert_holds(
        state("0s", "Healthy"),
        state("15s", "Breached"),
        {"at": "15s", "rollback": {}},
        policy=mine,
        answers=[
            series("a", "recommender", "0.95x3"),
            series("b", "recommender", "0.95 0.2 0.95"),
            series("c", "another", "0.1x3"),
        ],
    )


def test_the_interval_can_be_another():
    assert_holds(state("2m", "Pending"), state("3m", "Breached"), interval="1m", values="0.95 0.81x5")


def test_versions_decide_what_is_put_back():
    verified = {"current": "v13", "verified": ["v12", "v11"]}
    assert_holds({"at": "3m", "rollback": {"to": "v12"}}, versions=verified)
    assert_holds({"at": "3m", "rollback": {"to": "v11"}}, versions={**verified, "quarantined": ["v12"]})
    assert_holds({"at": "3m", "blocked": "NoSafeTarget"}, {"never": "rollback"}, versions={"current": "v13"})


def test_the_model_deployment_beside_the_policy_declares_versions(tmp_path: Path):
    system = with_fields(
        MODEL_DEPLOYMENT,
        {
            "spec.components.0.preset": "ContainerImage",
            "spec.components.0.container": "server",
            "spec.versions": [
                {
                    "name": "v7",
                    "safe": "Verified",
                    "values": [{"component": "model", "pin": "image", "value": "shop/recommender:v7"}],
                }
            ],
        },
    )
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump_all([system, ROLLBACK_POLICY]))
    (tmp_path / "recommender-test.yaml").write_text(
        yaml.safe_dump(
            {
                "policy": "policy.yaml",
                "answers": [{"trigger": "accuracy", "values": BREACH}],
                "expect": [{"at": "3m", "rollback": {"to": "v7"}}],
            }
        )
    )

    assert run("test", str(tmp_path)).code == 0, "the test is found in its directory, the policy beside it"


def test_guards_after_a_rollback():
    """In progress for settle and duration (6m), then cooldown (30m) for a second breach in a new episode."""
    again = "0.95x4 0.81x12 0.95x16 0.81x200"
    assert_holds(
        {"at": "3m", "rollback": {"to": "previous"}},
        {"at": "3m15s", "blocked": "RollbackInProgress"},
        {"at": "9m", "blocked": "CooldownActive"},
        state("11m", "Breached"),
        {"at": "38m45s", "blocked": "CooldownActive"},
        {"at": "39m", "blocked": "AlreadyAtTarget"},
        values=again,
    )
    assert_holds(
        {"at": "3m", "rollback": {"to": "v12"}},
        {"at": "39m", "rollback": {"to": "v11"}},
        values=again,
        versions={"current": "v13", "verified": ["v12", "v11"]},
    )


def test_one_breach_starts_one_rollback():
    no_cooldown = policy(spec__guards={"cooldown": "0s"})
    assert_holds({"at": "3m", "rollback": {}}, policy=no_cooldown, values="0.95x4 0.81x32")


def test_observe_says_what_it_would_do_and_suspended_does_nothing():
    observe = play({"at": "3m", "rollback": {}}, policy=policy(spec__mode="Observe"))
    assert observe.code == 0, observe.out
    assert_holds(
        {"at": "3m", "blocked": "Suspended"}, {"never": "rollback"}, policy=policy(spec__mode="Suspended")
    )


@pytest.mark.parametrize(
    ("expect", "wanted", "got"),
    [
        (state("2m", "Breached"), "state: Breached", "state: Pending  (0.81 < 0.90, for 1m of 2m)"),
        (state("1m", "Healthy"), "state: Healthy", "state: Pending"),
        (
            {"at": "2m", "rollback": {"to": "previous"}},
            "rollback at 2m to previous",
            "rollback at 3m to previous",
        ),
        ({"at": "3m15s", "rollback": {}}, "rollback at 3m15s to any version", "rollback at 3m to previous"),
        ({"at": "3m", "rollback": {"to": "v9"}}, "rollback at 3m to v9", "rollback at 3m to previous"),
        ({"at": "2m", "blocked": "FrozenWindow"}, "blocked: FrozenWindow", "not blocked"),
        ({"never": "rollback"}, "no rollback", "rollback at 3m to previous"),
    ],
    ids=["early", "healthy", "rollback later", "rollback before", "other version", "not blocked", "never"],
)
def test_a_failing_expectation_is_told_as_a_diff(expect: Document, wanted: str, got: str):
    outcome = play(expect)

    assert outcome.code == 1
    lines = [line.strip() for line in outcome.out.splitlines()]
    assert f"- {wanted}" in lines
    assert any(line.startswith(f"+ {got}") for line in lines)
    assert "3m  rollback to previous starts: accuracy 0.81 < 0.90 for 2m" in lines
    assert lines[-1] == "1 test, 1 expectation: 1 test failed"


def test_only_the_part_that_differs_is_marked():
    outcome = play(state("2m", "Pending", reason="NoData"))

    assert outcome.code == 1
    assert "      state: Pending\n    - reason: NoData\n    + reason: ThresholdExceeded\n" in outcome.out


def test_json_and_junit():
    document = {
        "name": "two of three",
        "policy": policy(),
        "answers": [{"trigger": "accuracy", "values": BREACH}],
        "expect": [state("0s", "Healthy"), state("1m", "Healthy"), {"never": "rollback"}],
    }
    text = yaml.safe_dump(document)

    as_json = run("test", "-", "-o", "json", stdin=text)
    assert as_json.code == 1
    (told,) = as_json.json["tests"]
    assert [e["passed"] for e in told["expectations"]] == [True, False, False]
    assert told["expectations"][1]["got"] == ["state: Pending"]
    assert {"at": "3m", "what": "accuracy: Breached (0.81 < 0.90)"} in told["timeline"]

    as_xml = run("test", "-", "-o", "junit", stdin=text)
    assert as_xml.code == 1
    suite = ET.fromstring(as_xml.out).find("testsuite")
    assert suite is not None
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("two of three", "3", "2")
    failure = suite.findall("testcase")[1].find("failure")
    assert failure is not None
    assert "- state: Healthy" in str(failure.text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"expects": []}, 'did you mean "expect"?'),
        ({"expect": []}, "expect: "),
        ({"expect": [{"at": "20s", "trigger": "accuracy", "state": "Pending"}]}, "there is no step at 20s"),
        ({"expect": [{"at": "15s", "trigger": "acuracy", "state": "Pending"}]}, 'did you mean "accuracy"?'),
        ({"expect": [{"at": "15s", "trigger": "accuracy", "state": "Sick"}]}, "'Sick' is none of"),
        ({"expect": [{"trigger": "accuracy", "state": "Pending"}]}, "at says at which step"),
        ({"expect": [{"at": "15s", "rollback": {}, "blocked": "Suspended"}]}, "exactly one of"),
        ({"answers": [{"trigger": "accuracy"}]}, "give values, failures, traffic or baseline"),
        ({"answers": [{"trigger": "latency", "values": "1"}]}, "no trigger 'latency'"),
        ({"answers": [{"trigger": "accuracy", "values": "0.9y3"}]}, "'0.9y3' is no value"),
        ({"answers": [{"trigger": "accuracy", "values": "old"}]}, "without maxSampleAge no sample is old"),
        ({"answers": [{"trigger": "accuracy", "traffic": "1"}]}, "no traffic is asked for by"),
        ({"answers": [{"trigger": "accuracy", "baseline": "1"}]}, "nothing is compared with a baseline"),
        ({"answers": [{"trigger": "accuracy", "values": "1"}] * 2}, "has values for the same series already"),
        ({"policy": "none.yaml"}, "none.yaml: it cannot be read"),
        ({"policy": {"kind": "ModelDeployment"}}, "exactly one RollbackPolicy in it, not 0"),
        ({"policy": with_fields(ROLLBACK_POLICY, {f"{TRIGGER}.for": "2d"})}, "spec.triggers[0].for"),
        ({"policy": with_fields(ROLLBACK_POLICY, {f"{TRIGGER}.query": "sum("})}, "not valid PromQL"),
        ({"start": "yesterday"}, "start: 'yesterday' is not a time"),
    ],
)
def test_a_file_that_cannot_be_used(change: Document, says: str):
    outcome = play({"never": "rollback"}, **change)

    assert outcome.code == 2
    assert says in outcome.err
    assert outcome.err.startswith("unusable "), "each line says what it is"


def test_a_broken_file_does_not_hide_a_failing_test(tmp_path: Path):
    (tmp_path / "a-test.yaml").write_text("policy: [")
    (tmp_path / "b-test.yaml").write_text(
        json.dumps(
            {
                "policy": policy(),
                "answers": [{"trigger": "accuracy", "values": BREACH}],
                "expect": [{"never": "rollback"}],
            }
        )
    )

    outcome = run("test", str(tmp_path))

    assert outcome.code == 2
    assert "a-test.yaml:1:10: this is no YAML" in outcome.err
    assert "- no rollback" in outcome.out
    assert run("test", str(tmp_path / "none")).code == 2


def test_the_shipped_policies_pass_their_tests():
    outcome = run("test", str(ROOT / "examples"))

    assert outcome.code == 0, outcome.out + outcome.err
    policies = {
        str(path)
        for path in (ROOT / "examples").rglob("*.yaml")
        if "kind: RollbackPolicy" in path.read_text() and not path.stem.endswith("-test")
    }
    tested = {
        str((path.parent / document["policy"]).resolve())
        for path in (ROOT / "examples").rglob("*-test.yaml")
        for document in yaml.safe_load_all(path.read_text())
    }
    assert policies <= tested, "every shipped policy has a test"
