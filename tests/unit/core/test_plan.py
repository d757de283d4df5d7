"""The plan: its steps, their order, their name, and how long to wait before validation."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.api.v1alpha1.rollback_record import PlannedTarget
from model_rollback.core.plan import (
    default_settle,
    in_dependency_order,
    make_steps,
    plan_hash,
    problem_of_steps,
    resolve_procedure,
    rollback_name,
    served_version,
)
from tests.unit.core.builders import make_component, make_policy, make_system, make_trigger, seconds
from tests.unit.core.strategies import component_graphs

CHAIN = [
    make_component("api", dependsOn=["model"]),
    make_component("model", dependsOn=["features", "config"]),
    make_component("config"),
    make_component("features"),
]


def shown(version, *names):
    return {name: {"image": f"shop/{name}:{version}"} for name in names}


ALL = ("api", "model", "config", "features")


def test_dependencies_come_first_and_otherwise_the_order_of_the_list_holds():
    assert [c.name for c in in_dependency_order(CHAIN)] == ["features", "config", "model", "api"]
    assert [c.name for c in in_dependency_order(CHAIN[2:])] == ["config", "features"]


def test_the_steps_are_one_revert_for_each_component_and_then_validate():
    steps = make_steps(CHAIN, shown("v13", *ALL), shown("v12", *ALL))

    assert [(s.name, s.action, s.component, s.state) for s in steps] == [
        ("revert-features", "Revert", "features", "Pending"),
        ("revert-config", "Revert", "config", "Pending"),
        ("revert-model", "Revert", "model", "Pending"),
        ("revert-api", "Revert", "api", "Pending"),
        ("validate", "Validate", "", "Pending"),
    ]


def test_only_what_differs_is_reverted():
    wanted = {**shown("v12", "model", "api"), **shown("v13", "features")}

    steps = make_steps(CHAIN, shown("v13", *ALL), wanted)

    assert [s.name for s in steps] == ["revert-model", "revert-api", "validate"]


def test_what_a_version_does_not_name_stays_as_it_is():
    assert [s.name for s in make_steps(CHAIN, shown("v13", *ALL), shown("v12", "api"))] == [
        "revert-api",
        "validate",
    ]


def test_nothing_differs():
    assert [s.name for s in make_steps(CHAIN, shown("v12", *ALL), shown("v12", *ALL))] == ["validate"]


@given(component_graphs(), st.data())
def test_no_step_comes_before_those_it_depends_on(components, data):
    names = [c.name for c in components]
    changed = data.draw(st.sets(st.sampled_from(names)))
    wanted = {**shown("v13", *names), **shown("v12", *changed)}

    steps = make_steps(components, shown("v13", *names), wanted)

    order = [s.component for s in steps if s.action == "Revert"]
    assert sorted(order) == sorted(changed)
    assert steps[-1].action == "Validate"
    by_name = {c.name: c for c in components}
    for position, name in enumerate(order):
        for dependency in by_name[name].depends_on:
            assert dependency not in order[position:]


def test_the_same_breach_has_the_same_name_and_every_other_one_another():
    name = rollback_name("recommender", "uid-1", 7, 1)

    assert name == rollback_name("recommender", "uid-1", 7, 1)
    assert re.fullmatch(r"recommender-[0-9a-f]{10}", name)
    others = [("uid-2", 7, 1), ("uid-1", 8, 1), ("uid-1", 7, 2), ("uid-1", 1, 7)]
    assert len({name, *(rollback_name("recommender", *other) for other in others)}) == 5


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_names_differ_as_episodes_and_attempts_do(episode, attempt, other_episode, other_attempt):
    one = rollback_name("recommender", "uid", episode, attempt)

    other = rollback_name("recommender", "uid", other_episode, other_attempt)

    assert (one == other) == ((episode, attempt) == (other_episode, other_attempt))


@pytest.mark.parametrize("name", ["x" * 253, "x" * 199 + "." + "y" * 53], ids=["long", "cut at a dot"])
def test_a_long_name_stays_a_legal_name(name):
    made = rollback_name(name, "uid", 1, 1)

    assert len(made) <= 253
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", label) for label in made.split("."))


def test_settle_is_the_longest_window_of_all_triggers_and_at_least_a_minute():
    short, long = (make_trigger(f"t{n}", query=f"rate(x[{n}m])") for n in (3, 7))

    assert default_settle([short, long]) == timedelta(minutes=7)
    assert default_settle([make_trigger(query="rate(x[30s])")]) == timedelta(minutes=1)


def test_the_procedure_is_the_policy_with_its_defaults_resolved():
    policy = make_policy(make_trigger(query="rate(x[3m])"), make_trigger("latency"), make_trigger("errors"))

    procedure = resolve_procedure(policy, ["accuracy", "errors"])

    assert (procedure.settle, procedure.duration) == (timedelta(minutes=3), timedelta(minutes=5))
    assert (procedure.step_timeout, procedure.on_failure) == (timedelta(minutes=10), "Halt")
    assert (procedure.interval, procedure.metrics_source) == (seconds(15), "default")
    assert procedure.quarantine == timedelta(hours=168)
    assert [(p.name, p.trigger) for p in procedure.probes] == [
        ("ready", None),
        ("recovered-accuracy", "accuracy"),
        ("recovered-errors", "errors"),
    ]
    assert [t.name for t in procedure.triggers] == ["accuracy", "errors"]


def test_probes_and_settle_that_the_policy_gives_are_taken_as_they_are():
    policy = make_policy(
        make_trigger(),
        make_trigger("latency"),
        validation={"settle": "0s", "duration": "1m", "probes": [{"name": "fast", "trigger": "latency"}]},
    )

    procedure = resolve_procedure(policy, ["accuracy"])

    assert (procedure.settle, procedure.duration) == (timedelta(0), timedelta(minutes=1))
    assert [p.name for p in procedure.probes] == ["fast"]
    assert [t.name for t in procedure.triggers] == ["latency"]


def test_a_server_knows_itself_by_the_label_of_its_pod_template():
    system = make_system([make_component("features", type="Pipeline"), make_component("model")])
    labelled = {"template": {"metadata": {"labels": {"app.kubernetes.io/version": "2.1"}}}}

    assert served_version(system, {"features": {}, "model": labelled}, "auto-1a2b3c4d") == "2.1"
    assert served_version(system, {"features": labelled, "model": {"image": "x"}}, "v12") == "v12"


def test_probes_of_triggers_with_long_names_have_names_of_their_own():
    names = ["x" * 62 + last for last in "ab"]
    policy = make_policy(*(make_trigger(name) for name in names))

    probes = resolve_procedure(policy, names).probes

    assert len({p.name for p in probes}) == 3
    assert [p.trigger for p in probes] == [None, *names]


def test_the_plan_hash_is_what_a_person_agrees_to():
    steps = make_steps(CHAIN, shown("v13", *ALL), shown("v12", *ALL))
    procedure = resolve_procedure(make_policy(), ["accuracy"])
    targets = (PlannedTarget(version="v12", digest="12"), PlannedTarget(version="v11", digest="11"))
    agreed = plan_hash(targets, steps, procedure)

    began = tuple(s.model_copy(update={"state": "Running"}) for s in steps)
    assert plan_hash(targets, began, procedure) == agreed
    assert plan_hash(targets[:1], steps, procedure) != agreed
    assert plan_hash(targets, steps[1:], procedure) != agreed
    assert plan_hash(targets, steps, procedure.model_copy(update={"duration": seconds(1)})) != agreed


def test_a_step_waits_for_everything_behind_it_and_for_nothing_else():
    steps = make_steps(CHAIN, shown("v13", *ALL), shown("v12", *ALL))

    assert {s.name: set(s.depends_on) for s in steps} == {
        "revert-features": set(),
        "revert-config": set(),
        "revert-model": {"revert-features", "revert-config"},
        "revert-api": {"revert-features", "revert-config", "revert-model"},
        "validate": {"revert-features", "revert-config", "revert-model", "revert-api"},
    }


def test_a_step_waits_through_a_component_that_does_not_differ():
    wanted = {**shown("v12", "features", "api"), **shown("v13", "model", "config")}

    steps = make_steps(CHAIN, shown("v13", *ALL), wanted)

    assert {s.name: s.depends_on for s in steps}["revert-api"] == ("revert-features",)


def test_the_steps_to_a_next_target_have_names_of_their_own():
    steps = make_steps(CHAIN[2:], shown("v12", *ALL), shown("v11", *ALL), attempt=2)

    assert [(s.name, s.attempt, s.depends_on) for s in steps] == [
        ("revert-config-2", 2, ()),
        ("revert-features-2", 2, ()),
        ("validate-2", 2, ("revert-config-2", "revert-features-2")),
    ]


# --- a procedure that a policy writes out --------------------------------------------------------------------------

WARM = {
    "name": "warm",
    "action": "Job",
    "job": {"template": {"spec": {"containers": [{"name": "w", "image": "w"}]}}},
}


def written(*steps):
    """Component names revert; everything else is a step as it stands in a policy."""
    listed = [
        {"name": f"back-{s}", "action": "Revert", "component": s, "timeout": "20m"}
        if isinstance(s, str)
        else s
        for s in steps
    ]
    return make_policy(steps=[*listed, {"name": "proof", "action": "Validate"}]).steps


ORDER = ("config", WARM, "features", "model", {"name": "tell", "action": "Notify"}, "api")


def test_a_written_procedure_runs_one_step_after_the_other():
    steps = make_steps(CHAIN, shown("v13", *ALL), shown("v12", *ALL), listed=written(*ORDER))

    assert [(s.name, s.action, s.component) for s in steps] == [
        ("back-config", "Revert", "config"),
        ("warm", "Job", ""),
        ("back-features", "Revert", "features"),
        ("back-model", "Revert", "model"),
        ("tell", "Notify", ""),
        ("back-api", "Revert", "api"),
        ("proof", "Validate", ""),
    ]
    assert [s.depends_on for s in steps] == [(), *((s.name,) for s in steps[:-1])]
    assert (steps[0].timeout, steps[1].timeout) == (timedelta(minutes=20), timedelta(minutes=5))


def test_a_written_procedure_leaves_out_what_does_not_differ_and_is_repeated_for_the_next_target():
    wanted = {**shown("v11", "model", "api"), **shown("v12", "config", "features")}

    steps = make_steps(CHAIN, shown("v12", *ALL), wanted, attempt=2, listed=written(*ORDER))

    assert [s.name for s in steps] == ["warm-2", "back-model-2", "tell-2", "back-api-2", "proof-2"]
    assert [s.name for s in make_steps(CHAIN, wanted, wanted, listed=written(*ORDER))] == ["proof"]


MISFITS = {
    "a component that is not there": ((*ORDER, "cache"), "cache, which the ModelDeployment does not have"),
    "a component that is left out": (("config", "features", "model"), "api is missing"),
    "an order that dependsOn forbids": (
        ("model", "config", "features", "api"),
        "model before features, config",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_a_written_procedure_that_does_not_fit_is_told(case):
    steps, says = MISFITS[case]

    assert says in problem_of_steps(written(*steps), CHAIN)


def test_a_procedure_that_fits_or_is_not_written_is_no_problem():
    assert problem_of_steps(written(*ORDER), CHAIN) == ""
    assert problem_of_steps((), CHAIN) == ""
