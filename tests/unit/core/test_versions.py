"""What a version is called, when it is recorded, when it is Verified, and when an episode begins."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.core.live import LiveTarget
from model_rollback.core.pins import version_digest
from model_rollback.core.readiness import Readiness
from model_rollback.core.versions import (
    add_healthy_time,
    find_recorded,
    first_model_label,
    is_stable,
    live_version,
    name_version,
    record,
    stable_at,
    track,
)
from tests.unit.core.builders import (
    NOW,
    at,
    declared,
    image,
    live,
    make_component,
    make_status,
    make_system,
    quarantined,
    recorded,
    seconds,
)

V13 = image("v13")
DIGEST = version_digest(V13)
OTHER = "0" * 64
TWO = make_system([make_component("features"), make_component("model", dependsOn=["features"])])


def both(features, model):
    return {
        "features": {"image": f"shop/recommender:{features}"},
        "model": {"image": f"shop/recommender:{model}"},
    }


NAMES = {
    "the declared version whose values match": ({"versions": [declared("v13")]}, {}, "blue", "v13"),
    "the first of several that match": (
        {"versions": [declared("a", model="shop/recommender:v13"), declared("v13")]},
        {},
        "",
        "a",
    ),
    "a declared version of other values is not it": ({"versions": [declared("v12")]}, {}, "blue", "blue"),
    "the label when it is free": ({}, {}, "2.1", "2.1"),
    "the label and four digits when a declared version has the name": (
        {"versions": [declared("v12")]},
        {},
        "v12",
        f"v12-{DIGEST[:4]}",
    ),
    "the label and four digits when a recorded version has the name": (
        {},
        {"history": (recorded("v12"),)},
        "v12",
        f"v12-{DIGEST[:4]}",
    ),
    "the label and four digits when the live version had the name": (
        {},
        {"current_version": "2.1", "current_digest": OTHER},
        "2.1",
        f"2.1-{DIGEST[:4]}",
    ),
    "the label and four digits when a quarantined version has the name": (
        {},
        {"quarantined": (quarantined("v12"),)},
        "v12",
        f"v12-{DIGEST[:4]}",
    ),
    "the name it was recorded under, whatever the label says now": (
        {},
        {"history": (recorded("blue", V13),)},
        "green",
        "blue",
    ),
    "the name it was quarantined under": ({}, {"quarantined": (quarantined("v13"),)}, "green", "v13"),
    "without a label, eight digits": ({}, {}, "", f"auto-{DIGEST[:8]}"),
    "a long label is cut to fit": ({}, {"current_version": "x" * 63}, "x" * 63, f"{'x' * 58}-{DIGEST[:4]}"),
}


@pytest.mark.parametrize("case", NAMES)
def test_what_a_version_is_called(case):
    spec, status, label, name = NAMES[case]

    assert name_version(make_system(**spec), ModelDeploymentStatus(**status), V13, DIGEST, label) == name
    assert len(name) <= 63


def test_the_label_is_that_of_the_first_model():
    spec = make_system(
        [make_component("features", type="Pipeline"), make_component("model"), make_component("ranker")]
    )
    targets = [live(component=name, app_version=f"{name}-1") for name in ("features", "model", "ranker")]

    assert first_model_label(spec, targets) == "model-1"
    assert first_model_label(make_system([make_component("features", type="Pipeline")]), targets[:1]) == ""


def shows(features, model, **fields):
    return [live(features, "features", **fields), live(model, "model", **fields)]


def status_of_two(**fields):
    shown = both("v12", "v12")
    return make_status(
        "v12",
        recorded("v12", shown),
        **{"current_digest": version_digest(shown), "components": (), **fields},
    )


MIXTURES = {
    "one component changed just now": (shows("v12", "v13", changed_at=at(-5)), {}, True),
    "it has been so for longer than stabilizeFor": (shows("v12", "v13", changed_at=at(-120)), {}, False),
    "all components changed": (shows("v13", "v13", changed_at=at(-5)), {}, False),
    "nothing changed": (shows("v12", "v12", changed_at=at(-5)), {}, False),
    "nothing is recorded that it could be a mixture of": (
        shows("v12", "v13", changed_at=at(-5)),
        {"history": ()},
        False,
    ),
    "the mixture is a version of its own": (
        shows("v12", "v13", changed_at=at(-5)),
        {"history": (recorded("v12", both("v12", "v12")), recorded("mix", both("v12", "v13")))},
        False,
    ),
}


@pytest.mark.parametrize("case", MIXTURES)
def test_what_is_a_mixture(case):
    targets, fields, mixed = MIXTURES[case]

    assert live_version(TWO, status_of_two(**fields), targets, now=NOW).mixed is mixed


def test_a_missing_target_leaves_no_version():
    gone = LiveTarget("model", problem="Deployment model does not exist", missing=True)

    assert live_version(make_system(), make_status(), [gone], now=NOW).shown is None
    kept = track(make_system(), make_status(), [gone], now=NOW)
    assert kept.current_version == "v13"
    assert kept.components[0].message == "Deployment model does not exist"


def test_a_mixture_has_no_name_and_its_end_begins_one_episode():
    before = status_of_two()

    mixed = track(TWO, before, shows("v12", "v13", changed_at=at(-5)), now=NOW)
    whole = track(TWO, mixed, shows("v13", "v13", changed_at=NOW, app_version="v13"), now=NOW)

    assert (mixed.current_version, mixed.episode) == ("", 7)
    assert (whole.current_version, whole.episode) == ("v13", 8)


def test_a_mixture_of_a_declared_version_and_another_is_one_too_however_often_it_is_looked_at():
    spec = make_system(
        TWO.components, versions=[declared("v12", features="shop/features:v12", model="shop/model:v12")]
    )
    live_now = [
        live(component="features", pins={"image": "shop/features:v12"}),
        live(component="model", pins={"image": "shop/model:v12"}),
    ]
    before = track(spec, ModelDeploymentStatus(), live_now, now=at(-60))
    assert before.current_version == "v12"

    half = [live_now[0], live(component="model", pins={"image": "shop/model:v13"}, changed_at=at(-5))]
    once = track(spec, before, half, now=NOW)
    twice = track(spec, once, half, now=NOW)

    assert (once.current_version, twice.current_version) == ("", "")


def test_a_mixture_that_goes_back_is_the_old_version_in_the_old_episode():
    mixed = track(TWO, status_of_two(), shows("v12", "v13", changed_at=at(-5)), now=NOW)

    back = track(TWO, mixed, shows("v12", "v12", changed_at=at(5)), now=at(5))

    assert (back.current_version, back.episode) == ("v12", 7)


def test_the_first_version_seen_begins_no_episode():
    first = track(make_system(), ModelDeploymentStatus(), [live(app_version="v13")], now=NOW)

    assert (first.current_version, first.current_digest, first.episode) == ("v13", DIGEST, 0)
    assert first.current_since is None, "nothing changed that anybody saw"


def test_a_new_version_begins_an_episode_and_ends_the_time_of_the_old_one():
    before = make_status("v12", recorded("v12"))

    after = track(make_system(), before, [live("v13", app_version="v13")], now=NOW)

    assert (after.current_version, after.episode) == ("v13", 8)
    assert (after.current_since, after.current_by) == (NOW, "")
    assert after.history[0].last_seen == NOW


def test_while_the_lock_is_held_no_episode_begins():
    before = make_status("v13", active_rollback="recommender-1a2b3c4d5e")

    after = track(make_system(), before, [live("v12")], now=NOW)

    assert (after.current_version, after.episode) == ("v12", 7)
    assert (after.current_since, after.current_by) == (NOW, "recommender-1a2b3c4d5e")


def test_looking_again_at_the_same_thing_changes_nothing():
    once = track(make_system(), make_status(), [live()], now=NOW)

    assert track(make_system(), once, [live()], now=at(600)) == once


STABLE = {
    "ready and unchanged for long enough": ([live(changed_at=at(-120))], {}, {}, True),
    "changed a moment ago": ([live(changed_at=at(-119))], {}, {}, False),
    "not ready": ([live(readiness=Readiness(ready=False))], {}, {}, False),
    "the lock is held": ([live()], {}, {"active_rollback": "r"}, False),
    "only declared versions count": ([live()], {"versioning": {"record": "Declared"}}, {}, False),
    "a pin is missing": ([live(pins=None)], {}, {}, False),
    "nobody knows since when": ([live(changed_at=None)], {}, {}, False),
}


@pytest.mark.parametrize("case", STABLE)
def test_when_a_version_may_be_recorded(case):
    targets, spec, status, stable = STABLE[case]

    assert is_stable(make_system(**spec), make_status(**status), targets, now=NOW) is stable


def test_a_release_that_never_got_ready_is_named_and_never_recorded():
    broken = [
        live(
            "v14", app_version="v14", readiness=Readiness(ready=False, message="0 of 2"), changed_at=at(-9999)
        )
    ]

    status = track(make_system(), make_status(), broken, now=NOW)

    assert status.current_version == "v14"
    assert is_stable(make_system(), status, broken, now=NOW) is False


def test_when_to_look_again():
    assert stable_at(TWO, shows("v12", "v12", changed_at=at(-20))) == at(100)
    assert stable_at(TWO, shows("v12", "v12", changed_at=None)) is None
    assert stable_at(TWO, shows("v12", "v12", readiness=Readiness(ready=False))) == at(-3480)


def test_recording_puts_the_live_version_first_and_keeps_what_it_had():
    before = make_status("v12", recorded("v11"), recorded("v12", healthy_for=seconds(600), last_seen=at(-60)))

    after = record(make_system(), before, [live("v12")], "recommender-v12-abc", now=NOW)

    newest, older = after.history
    assert (newest.version, older.version) == ("v12", "v11")
    assert (newest.healthy_for, newest.safe, newest.first_seen, newest.last_seen) == (
        seconds(600),
        "Verified",
        at(-3600),
        None,
    )
    assert newest.revision == "recommender-v12-abc"
    assert [(p.component, p.pin, p.value) for p in newest.values] == [
        ("model", "image", "shop/recommender:v12")
    ]


@pytest.mark.parametrize(
    ("versions", "safe"), [([], "Unverified"), ([declared("v13")], "Verified")], ids=["new", "declared"]
)
def test_a_new_version_is_verified_only_when_a_person_says_so(versions, safe):
    after = record(make_system(versions=versions), make_status(), [live()], "rev", now=NOW)

    assert (after.history[0].version, after.history[0].safe) == ("v13", safe)


def test_the_history_is_bounded_and_never_loses_the_newest_verified_version():
    spec = make_system(versioning={"historyLimit": 2})
    unsafe = [recorded(f"v{n}", safe="Unverified") for n in (12, 11)]
    before = make_status("v13", *unsafe, recorded("v10"), recorded("v9"))

    after = record(spec, before, [live()], "rev", now=NOW)

    assert [v.version for v in after.history] == ["v13", "v10"]
    assert after.last_verified_version == "v10"


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(2, 5))
def test_however_much_is_recorded_a_verified_version_remains(safe, limit):
    spec = make_system(versioning={"historyLimit": limit})
    history = [recorded(f"v{n}", safe="Verified" if ok else "Unverified") for n, ok in enumerate(safe)]
    status = make_status("v99", *history)

    for n in range(100, 110):
        status = track(spec, status, [live(f"v{n}", app_version=f"v{n}")], now=at(n))
        status = record(spec, status, [live(f"v{n}")], "rev", now=at(n))
        assert len(status.history) <= limit
        assert status.history[0].version == f"v{n}"
        if any(safe):
            assert status.last_verified_version == next(f"v{i}" for i, ok in enumerate(safe) if ok)


def test_healthy_time_makes_a_version_verified():
    spec = make_system(versioning={"verifiedAfter": "30m"})
    status = make_status("v13", recorded("v13", safe="Unverified"))

    almost = add_healthy_time(spec, status, timedelta(minutes=29), now=NOW)
    verified = add_healthy_time(spec, almost, timedelta(minutes=1), now=NOW)

    assert (almost.history[0].safe, almost.last_verified_version) == ("Unverified", "")
    assert (verified.history[0].safe, verified.last_verified_version) == ("Verified", "v13")
    assert verified.history[0].healthy_for == timedelta(minutes=30)


def test_a_quarantined_version_gains_nothing():
    status = make_status("v13", recorded("v13", safe="Unverified"), quarantined=(quarantined("v13"),))

    assert add_healthy_time(make_system(), status, timedelta(hours=9), now=NOW) == status


def test_a_version_that_is_not_recorded_gains_nothing():
    status = make_status("v13", recorded("v12"))

    assert add_healthy_time(make_system(), status, timedelta(hours=9), now=NOW) == status
    assert find_recorded(status, DIGEST) is None


def test_a_target_in_trouble_shows_why_in_the_status():
    targets = [
        replace(live(), readiness=Readiness(ready=False, message="1 of 2 updated replicas are available"))
    ]

    (component,) = track(make_system(), make_status(), targets, now=NOW).components

    assert (component.ready, component.message) == ("False", "1 of 2 updated replicas are available")
    assert [(p.pin, p.value) for p in component.observed] == [("image", "shop/recommender:v13")]
