"""The gates: each alone, with its reason and its words, and their order, which is contract."""

from datetime import timedelta

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.model_deployment_status import FinishedRollback
from model_rollback.core.brake import Brake
from model_rollback.core.gates import GATES, first_block
from model_rollback.core.live import LiveTarget
from model_rollback.engine.lock import KEPT
from tests.unit.core.builders import (
    at,
    breached,
    healthy,
    image,
    live,
    make_component,
    make_policy,
    make_status,
    make_system,
    make_trigger,
    observe,
    quarantined,
    recorded,
)

GONE = LiveTarget("model", problem="Deployment model does not exist in namespace shop", missing=True)


LOGS = {"name": "quiet", "logs": {"component": "server", "pattern": "oom"}}
ARGO = "Argo CD application shop"
REFUSE = make_policy(ownership={"onExternalManager": "Refuse"})
CHRISTMAS = {"schedule": "0 0 5 1 *", "duration": "48h", "timeZone": "Europe/London"}


def finished(seconds_ago, name="recommender-1a2b3c4d5e", **fields):
    return FinishedRollback(
        **{
            "name": name,
            "type": "Incident",
            "finished_at": at(-seconds_ago),
            "result": "Succeeded",
            **fields,
        }
    )


def finished_hours_ago(*hours, **fields):
    """Long enough ago for the cooldown."""
    return make_status(last_rollbacks=tuple(finished(3600 * h, **fields) for h in hours))


BLOCKED = {
    "half of the fleet breached at once": (
        {"brake": Brake(until=at(60), share="12 of 20 policies turned Breached within a minute")},
        Reason.FLEET_BRAKE,
        "12 of 20 policies turned Breached within a minute: the metrics are likelier to be broken than all these "
        "models; new rollbacks wait until 2026-01-05 10:01:00 UTC and are judged again",
    ),
    "mode Suspended": (
        {"policy": make_policy(mode="Suspended")},
        Reason.SUSPENDED,
        "spec.mode is Suspended: nothing new is started",
    ),
    "an invalid policy": (
        {"policy": None, "problem": "spec.triggers: too short"},
        Reason.INVALID_SPEC,
        "spec.triggers: too short",
    ),
    "a probe of an unknown component": (
        {"policy": make_policy(validation={"probes": [LOGS]})},
        Reason.INVALID_SPEC,
        "spec.validation.probes.0.logs.component: the ModelDeployment has no component 'server'; it has model",
    ),
    "no ModelDeployment": (
        {"system": None, "problem": "ModelDeployment recommender does not exist in this namespace"},
        Reason.TARGETS_MISSING,
        "ModelDeployment recommender does not exist in this namespace",
    ),
    "no ModelDeployment, and nobody says why": (
        {"system": None},
        Reason.TARGETS_MISSING,
        "the ModelDeployment does not exist",
    ),
    "a missing target": ({"live": [GONE]}, Reason.TARGETS_MISSING, GONE.problem),
    "targets that cannot be watched": (
        {"blind": "Deployments cannot be watched: forbidden", "live": [GONE]},
        Reason.TARGETS_MISSING,
        "Deployments cannot be watched: forbidden",
    ),
    "a Rollback at work": (
        {"status": make_status(active_rollback="recommender-1a2b3c4d5e")},
        Reason.ROLLBACK_IN_PROGRESS,
        "recommender-1a2b3c4d5e is at work or halted",
    ),
    "a mixture": (
        {"status": make_status("")},
        Reason.MIXED_VERSIONS,
        "some components hold a new version and some the old one",
    ),
    "a target scaled to zero": (
        {"live": [live(), live("v13", "ranker", scaled_to_zero=True)]},
        Reason.TARGET_SCALED_TO_ZERO,
        "ranker runs no replicas: a rollback could not be validated",
    ),
    "a breach that had its Rollback": (
        {"triggers": {"accuracy": breached(consumed_by="recommender-1a2b3c4d5e"), "latency": healthy()}},
        Reason.BREACH_CONSUMED,
        "this breach was answered by recommender-1a2b3c4d5e; the next counts from when the metric is healthy",
    ),
    "an answered breach beside one that only notifies": (
        {
            "policy": make_policy(make_trigger(), make_trigger("drift", action="Notify")),
            "triggers": {"accuracy": breached(consumed_by="recommender-1a2b3c4d5e"), "drift": breached()},
        },
        Reason.BREACH_CONSUMED,
        "this breach was answered by recommender-1a2b3c4d5e; the next counts from when the metric is healthy",
    ),
    "the cooldown": (
        {"status": make_status(last_rollbacks=(finished(600), finished(9000)))},
        Reason.COOLDOWN_ACTIVE,
        "a rollback finished at 09:50:00 UTC; cooldown of 30m ends at 2026-01-05 10:20:00 UTC",
    ),
    "a paused Deployment": (
        {"live": [live(paused=True)]},
        Reason.TARGET_PAUSED,
        "model is paused or suspended: what is put back would not be rolled out; resume it",
    ),
    "the budget of three in a day": (
        {"status": finished_hours_ago(1, 5, 23)},
        Reason.ROLLBACK_BUDGET_EXHAUSTED,
        "3 rollbacks within 24h are allowed and done; the next may start at 2026-01-05 11:00:00 UTC",
    ),
    "the budget counts failed ones and those of people": (
        {"status": finished_hours_ago(1, 2, 3, result="Failed", type="Manual")},
        Reason.ROLLBACK_BUDGET_EXHAUSTED,
        "3 rollbacks within 24h are allowed and done; the next may start at 2026-01-06 07:00:00 UTC",
    ),
    "a freeze window": (
        {"policy": make_policy(guards={"freezeWindows": [CHRISTMAS]})},
        Reason.FROZEN_WINDOW,
        "freeze window '0 0 5 1 *' (Europe/London) is open until 2026-01-07 00:00:00 UTC",
    ),
    "what the only version needs is missing": (
        {"missing": {"v12": "ControllerRevision recommender-v12 does not exist"}},
        Reason.ARTIFACT_MISSING,
        "there is no version to go back to: v12: ControllerRevision recommender-v12 does not exist",
    ),
    "a target that Argo CD owns": (
        {"policy": REFUSE, "live": [live(managed_by=ARGO)]},
        Reason.EXTERNALLY_MANAGED,
        "managed from elsewhere: model by Argo CD application shop; roll back there, "
        "or set spec.ownership.onExternalManager to Warn",
    ),
    "the pinned version is what runs": (
        {"policy": make_policy(target={"strategy": "Pinned", "version": "v13"})},
        Reason.ALREADY_AT_TARGET,
        "the pinned target v13 is what runs now",
    ),
    "the only Verified version is what runs": (
        {"status": make_status("v12")},
        Reason.ALREADY_AT_TARGET,
        "v12, the only Verified version to go back to, is what runs now",
    ),
    "what runs is Verified, and the other Verified one falls out": (
        {
            "status": make_status("v13", recorded("v13"), recorded("v12")),
            "policy": make_policy(target={"requires": ["bias-audit"]}),
        },
        Reason.NO_SAFE_TARGET,
        "there is no version to go back to: v12: carries no attestation bias-audit",
    ),
    "no version to go back to": (
        {"status": make_status("v13", recorded("v12", safe="Unverified"))},
        Reason.NO_SAFE_TARGET,
        "there is no version to go back to: v12: not Verified",
    ),
    "the only version to go back to is quarantined": (
        {"status": make_status(quarantined=(quarantined("v12"),))},
        Reason.NO_SAFE_TARGET,
        "there is no version to go back to: v12: quarantined until 2026-01-05 11:00 UTC by recommender-1a2b3c4d5e",
    ),
}


@pytest.mark.parametrize("case", BLOCKED)
def test_what_blocks_and_in_which_words(case):
    fields, reason, message = BLOCKED[case]

    blocked = first_block(observe(**fields))

    assert blocked is not None
    assert (blocked.reason, blocked.message) == (reason, message)


@pytest.mark.parametrize("case", BLOCKED)
def test_each_gate_speaks_for_itself_only(case):
    fields, reason, _ = BLOCKED[case]
    observation = observe(**fields)

    speaking = [blocked.reason for gate in GATES if (blocked := gate(observation)) is not None]

    assert reason in speaking
    assert {r for r in speaking if r is not reason} <= {Reason.NO_SAFE_TARGET}


PASSED = {
    "a breach with a Verified version to go back to": {},
    "before any breach": {"triggers": {}},
    "one breach had its Rollback, another had not": {
        "triggers": {"accuracy": breached(consumed_by="r"), "latency": breached()}
    },
    "the cooldown has just ended": {"status": make_status(last_rollbacks=(finished(1800),))},
    "a cooldown of nothing": {
        "policy": make_policy(guards={"cooldown": "0s"}),
        "status": make_status(last_rollbacks=(finished(0),)),
    },
    "a component that is not ready: that is a reason to go back": {
        "live": [live(readiness=GONE.readiness)],
    },
    "the budget has one left": {"status": finished_hours_ago(1, 5, 24)},
    "drills, and Rollbacks that wrote nothing, cost nothing": {
        "status": make_status(
            last_rollbacks=(
                *(finished(3600, type="Drill") for _ in range(3)),
                *(finished(3600, result=r) for r in ("Withdrawn", "Denied", "Expired")),
            )
        ),
    },
    "a larger budget": {
        "policy": make_policy(guards={"maxRollbacks": {"count": 4}}),
        "status": finished_hours_ago(1, 2, 3),
    },
    "a budget of a shorter time": {
        "policy": make_policy(guards={"maxRollbacks": {"count": 2, "per": "2h"}}),
        "status": finished_hours_ago(1, 2, 3),
    },
    "a freeze window that is over": {
        "policy": make_policy(guards={"freezeWindows": [CHRISTMAS | {"duration": "10h"}]}),
    },
    "a target that Argo CD owns, and Warn": {"live": [live(managed_by=ARGO)]},
    "what one version needs is missing, and another has all": {
        "status": make_status("v13", recorded("v12"), recorded("v11")),
        "missing": {"v12": "gone"},
    },
    "the pinned version is what runs, and a fallback is there": {
        "policy": make_policy(target={"strategy": "Pinned", "version": "v13", "fallbacks": ["v12"]}),
    },
    "mode Observe": {"policy": make_policy(mode="Observe")},
    "two components": {
        "system": make_system([make_component("features"), make_component("model")]),
        "status": make_status(
            "v13", recorded("v12", image("v12") | {"features": {"image": "shop/features:1"}})
        ),
        "live": [live(component="features"), live()],
    },
}


@pytest.mark.parametrize("case", PASSED)
def test_what_passes(case):
    assert first_block(observe(**PASSED[case])) is None


UNTIL = {
    "a cooldown": (
        {"status": make_status(last_rollbacks=(finished(600),))},
        at(-600) + timedelta(minutes=30),
    ),
    "a budget": ({"status": finished_hours_ago(1, 5, 23)}, at(-23 * 3600) + timedelta(hours=24)),
    "a freeze window": (
        {"policy": make_policy(guards={"freezeWindows": [CHRISTMAS]})},
        at(-10 * 3600) + timedelta(hours=48),
    ),
}


@pytest.mark.parametrize("case", UNTIL)
def test_what_ends_by_itself_says_when_to_look_again(case):
    fields, until = UNTIL[case]

    blocked = first_block(observe(**fields))

    assert blocked is not None
    assert blocked.until == until
    assert first_block(observe(now=until, triggers={}, **fields)) is None
    assert first_block(observe(now=until - timedelta(seconds=1), triggers={}, **fields)) is not None


def test_the_budget_can_be_counted_on_what_is_kept():
    assert make_policy(guards={"maxRollbacks": {"count": KEPT}}).guards.max_rollbacks.count == KEPT
    with pytest.raises(ValueError, match="count"):
        make_policy(guards={"maxRollbacks": {"count": KEPT + 1}})


def test_the_order_of_the_gates():
    assert [gate.__name__ for gate in GATES] == [
        "suspended",
        "invalid_spec",
        "targets_missing",
        "rollback_in_progress",
        "mixed_versions",
        "target_paused",
        "target_scaled_to_zero",
        "fleet_brake",
        "breach_consumed",
        "cooldown_active",
        "rollback_budget_exhausted",
        "frozen_window",
        "already_at_target",
        "no_safe_target",
        "artifact_missing",
        "externally_managed",
    ]


def test_the_first_gate_wins():
    everything = {}
    for fields, _, _ in reversed(BLOCKED.values()):
        everything |= fields
    everything["status"] = make_status(
        "", active_rollback="recommender-1a2b3c4d5e", last_rollbacks=(finished(600),)
    )

    blocked = first_block(observe(**everything))
    without_mode = first_block(observe(**{**everything, "policy": make_policy()}))

    assert blocked is not None
    assert without_mode is not None
    assert (blocked.reason, without_mode.reason) == (Reason.SUSPENDED, Reason.TARGETS_MISSING)


def test_a_lock_explains_a_mixture_better_than_the_mixture():
    blocked = first_block(observe(status=make_status("", active_rollback="recommender-1a2b3c4d5e")))

    assert blocked is not None
    assert blocked.reason is Reason.ROLLBACK_IN_PROGRESS


def test_every_gate_is_named_after_its_reason_and_says_what_it_means():
    for gate in GATES:
        name = "".join(word.capitalize() for word in gate.__name__.split("_"))
        assert Reason(name).value == name
        assert gate.__doc__
        assert "\n" not in gate.__doc__
