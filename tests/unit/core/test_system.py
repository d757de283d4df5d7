"""What `Ready` says of a ModelDeployment to the person who looks."""

import pytest

from model_rollback.api.conditions import find_condition
from model_rollback.core.live import LiveTarget
from model_rollback.core.readiness import Readiness
from model_rollback.core.system import with_conditions
from tests.unit.core.builders import NOW, at, declared, live, make_status, make_system, recorded

GONE = LiveTarget("model", problem="Deployment model does not exist in namespace shop", missing=True)
HALF = Readiness(ready=False, message="1 of 2 replicas are updated")
NOTHING_SAFE = make_status("v13", recorded("v12", safe="Unverified"))

READY = {
    "whole, ready, and with a Verified version": ({}, "True", "Ready", "v13 is live and ready"),
    "a declared version is Verified enough": (
        {"status": NOTHING_SAFE, "spec": make_system(versions=[declared("v10")])},
        "True",
        "Ready",
        "v13 is live and ready",
    ),
    "invalid": ({"spec": None, "problem": "spec.components: too short"}, "False", "InvalidSpec", "too short"),
    "not to be watched": (
        {"blind": "Deployments cannot be watched: forbidden", "targets": [GONE]},
        "Unknown",
        "ApiUnavailable",
        "forbidden",
    ),
    "a missing target": ({"targets": [GONE]}, "False", "TargetsMissing", GONE.problem),
    "a mixture": ({"status": make_status("")}, "False", "MixedVersions", "some the old one"),
    "not rolled out": (
        {"targets": [live(readiness=HALF)]},
        "False",
        "NotReady",
        "model: 1 of 2 replicas are updated",
    ),
    "no version is Verified": (
        {"status": NOTHING_SAFE},
        "False",
        "NothingVerified",
        "no version is Verified: v13 will be after spec.versioning.verifiedAfter of healthy metrics; "
        "until then a breach finds no target",
    ),
}


def said(*, spec=make_system(), status=make_status(), targets=(live(),), problem="", blind="", now=NOW):  # noqa: B008
    return with_conditions(spec, status, targets, problem=problem, blind=blind, generation=3, now=now)


@pytest.mark.parametrize("case", READY)
def test_what_ready_says(case):
    fields, status, reason, message = READY[case]

    ready = find_condition(said(**fields).conditions, "Ready")

    assert ready is not None
    assert (ready.status, ready.reason, ready.observed_generation) == (status, reason, 3)
    assert message in ready.message


def test_stalled_lasts_while_the_spec_is_invalid():
    broken = said(spec=None, problem="spec.components: too short")
    still = said(spec=None, problem="spec.components: too short", status=broken, now=at(60))
    mended = said(status=broken, now=at(60))

    stalled = find_condition(broken.conditions, "Stalled")
    assert stalled is not None
    assert (stalled.status, stalled.reason) == ("True", "InvalidSpec")
    assert still == broken
    assert find_condition(mended.conditions, "Stalled") is None


def test_saying_the_same_again_changes_nothing():
    once = said()

    assert said(status=once, now=at(600)) == once


def managed(*targets, status=make_status()):  # noqa: B008
    return find_condition(said(targets=targets, status=status).conditions, "ExternallyManaged")


def test_a_manager_from_elsewhere_is_said_while_there_is_one_and_once_more_when_it_has_gone():
    owned = said(targets=[live(managed_by="Helm release shop")])

    condition = find_condition(owned.conditions, "ExternallyManaged")
    assert condition is not None
    assert (condition.status, condition.reason) == ("True", "ExternallyManaged")
    assert "model by Helm release shop" in condition.message
    assert managed(live()) is None
    freed = managed(live(), status=owned)
    assert freed is not None
    assert (freed.status, freed.reason) == ("False", "NotExternallyManaged")
