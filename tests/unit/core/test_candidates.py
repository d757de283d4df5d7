"""Which version is put back, and the words for each that is not."""

import pytest

from model_rollback.api.v1alpha1.target import Target
from model_rollback.core.candidates import choose, find, quarantine_of, rank
from model_rollback.core.versions import component_statuses
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
)

IMAGE_PIN = {"name": "image", "path": "spec.template.spec.containers[name=server].image"}
DATASET_PIN = {"name": "log", "path": "spec.template.spec.containers[name=server].env[name=LOG].value"}
LAST_VERIFIED = Target()
PREVIOUS = Target(strategy="Previous")
UNVERIFIED = {"safe": "Unverified"}


def pinned(version):
    return Target(strategy="Pinned", version=version)


def lenient(**fields):
    return Target(allow_unverified="WhenNoVerified", **fields)


AUDITED = Target(requires=["bias-audit"])


def audited(version, **fields):
    return declared(version) | {"attestations": [{"name": "bias-audit", **fields}]}


CHOICES = {
    "LastVerified: the newest Verified one": (LAST_VERIFIED, [recorded("v12"), recorded("v11")], [], "v12"),
    "LastVerified: past an unverified one": (
        LAST_VERIFIED,
        [recorded("v12", **UNVERIFIED), recorded("v11")],
        [],
        "v11",
    ),
    "LastVerified: never what is live": (LAST_VERIFIED, [recorded("v13"), recorded("v12")], [], "v12"),
    "LastVerified: never what is live under another name": (
        LAST_VERIFIED,
        [recorded("blue", image("v13")), recorded("v12")],
        [],
        "v12",
    ),
    "LastVerified: recorded ones before declared ones": (
        LAST_VERIFIED,
        [recorded("v11")],
        [declared("v12")],
        "v11",
    ),
    "LastVerified: a declared one that never ran": (
        LAST_VERIFIED,
        [recorded("v11", **UNVERIFIED)],
        [declared("v12")],
        "v12",
    ),
    "LastVerified: a declared one of the live values is live": (
        LAST_VERIFIED,
        [recorded("v11", **UNVERIFIED)],
        [declared("green", model="shop/recommender:v13"), declared("v10")],
        "v10",
    ),
    "WhenNoVerified: a Verified one first": (
        lenient(),
        [recorded("v12", **UNVERIFIED), recorded("v11")],
        [],
        "v11",
    ),
    "WhenNoVerified: else the newest": (
        lenient(),
        [recorded("v12", **UNVERIFIED), recorded("v11", **UNVERIFIED)],
        [],
        "v12",
    ),
    "Previous: the recorded one before": (
        PREVIOUS,
        [recorded("v13"), recorded("v12"), recorded("v11")],
        [],
        "v12",
    ),
    "Previous: declared ones do not count": (PREVIOUS, [recorded("v11")], [declared("v12")], "v11"),
    "Previous: unverified, where the policy allows it": (
        lenient(strategy="Previous"),
        [recorded("v12", **UNVERIFIED), recorded("v11")],
        [],
        "v12",
    ),
    "Pinned: a recorded one": (pinned("v11"), [recorded("v12"), recorded("v11")], [], "v11"),
    "Pinned: a declared one": (pinned("v10"), [recorded("v12")], [declared("v10")], "v10"),
    "Pinned: a fallback, when the named one is unknown": (
        Target(strategy="Pinned", version="v9", fallbacks=["v11"]),
        [recorded("v12"), recorded("v11")],
        [],
        "v11",
    ),
    "Pinned: a fallback, when the named one is what runs": (
        Target(strategy="Pinned", version="v13", fallbacks=["v11"]),
        [recorded("v13"), recorded("v11")],
        [],
        "v11",
    ),
    "Previous: a Verified fallback before an unverified previous one": (
        lenient(strategy="Previous", fallbacks=["v11"]),
        [recorded("v12", **UNVERIFIED), recorded("v11")],
        [],
        "v11",
    ),
    "WhenNoVerified: when the Verified one is too old": (
        lenient(max_age="1h"),
        [recorded("v12", **UNVERIFIED, last_seen=at(-60)), recorded("v11", last_seen=at(-3601))],
        [],
        "v12",
    ),
    "maxAge: to the second": (
        Target(max_age="1h"),
        [recorded("v12", last_seen=at(-3600))],
        [],
        "v12",
    ),
    "requires: the newest that carries it": (
        AUDITED,
        [recorded("v12"), recorded("v11")],
        [audited("v11")],
        "v11",
    ),
    "requires: its last day counts to the end": (
        AUDITED,
        [recorded("v12")],
        [audited("v12", expires="2026-01-05")],
        "v12",
    ),
}


def system(history, versions):
    targets = [live("v13")]
    status = make_status("v13", *history, components=component_statuses(targets))
    return make_system(versions=versions), status


@pytest.mark.parametrize("case", CHOICES)
def test_which_version_is_put_back(case):
    target, history, versions, chosen = CHOICES[case]

    choice = choose(target, *system(history, versions), now=NOW)

    assert choice.candidate is not None
    assert choice.candidate.version == chosen


REFUSED = {
    "nothing is known": (
        LAST_VERIFIED,
        [recorded("v13")],
        [],
        {},
        "no version is recorded or declared that differs from what runs",
    ),
    "not Verified": (LAST_VERIFIED, [recorded("v12", **UNVERIFIED)], [], {}, "v12: not Verified"),
    "a declared one that is not Verified": (
        LAST_VERIFIED,
        [recorded("v13")],
        [declared("v12", "Unverified")],
        {},
        "v12: not Verified",
    ),
    "quarantined": (
        LAST_VERIFIED,
        [recorded("v12")],
        [],
        {"quarantined": (quarantined("v12"),)},
        "v12: quarantined until 2026-01-05 11:00 UTC by recommender-1a2b3c4d5e",
    ),
    "quarantined beats declared Verified": (
        LAST_VERIFIED,
        [recorded("v13")],
        [declared("v12")],
        {"quarantined": (quarantined("v12"),)},
        "v12: quarantined until",
    ),
    "each with its own reason": (
        LAST_VERIFIED,
        [recorded("v12"), recorded("v11", **UNVERIFIED)],
        [],
        {"quarantined": (quarantined("v12"),)},
        "v12: quarantined until 2026-01-05 11:00 UTC by recommender-1a2b3c4d5e; v11: not Verified",
    ),
    "Previous looks no further back": (
        PREVIOUS,
        [recorded("v12", **UNVERIFIED), recorded("v11")],
        [],
        {},
        "v12: not Verified",
    ),
    "Pinned and unknown": (pinned("v9"), [recorded("v12")], [], {}, "v9: neither recorded nor declared"),
    "Pinned and quarantined": (
        pinned("v12"),
        [recorded("v12")],
        [],
        {"quarantined": (quarantined("v12"),)},
        "v12: quarantined until",
    ),
    "Pinned and live under another name": (
        pinned("green"),
        [recorded("v12")],
        [declared("green", model="shop/recommender:v13")],
        {},
        "green: it is what runs now",
    ),
    "too old": (
        Target(max_age="1h"),
        [recorded("v12", last_seen=at(-3601))],
        [],
        {},
        "v12: last live at 2026-01-05 08:59 UTC, longer ago than maxAge 1h",
    ),
    "of an age that nobody knows": (
        Target(max_age="1h"),
        [recorded("v13")],
        [declared("v12")],
        {},
        "v12: never seen live, and maxAge is 1h",
    ),
    "without an attestation": (AUDITED, [recorded("v12")], [], {}, "v12: carries no attestation bias-audit"),
    "with another attestation": (
        Target(requires=["bias-audit", "load-test"]),
        [recorded("v12")],
        [audited("v12")],
        {},
        "v12: carries no attestation load-test",
    ),
    "with an attestation that has expired": (
        AUDITED,
        [recorded("v12")],
        [audited("v12", expires="2026-01-04")],
        {},
        "v12: its attestation bias-audit expired after 2026-01-04",
    ),
    "attested under the same name for other values": (
        AUDITED,
        [recorded("v12")],
        [declared("v12", model="shop/recommender:other") | {"attestations": [{"name": "bias-audit"}]}],
        {},
        "v12: carries no attestation bias-audit",
    ),
    "Pinned and not Verified": (
        pinned("v12"),
        [recorded("v12", **UNVERIFIED)],
        [],
        {},
        "v12: not Verified",
    ),
    "a fallback that is not Verified": (
        Target(strategy="Pinned", version="v9", fallbacks=["v12"]),
        [recorded("v12", **UNVERIFIED)],
        [],
        {},
        "v9: neither recorded nor declared; v12: not Verified",
    ),
    "an unknown fallback": (
        Target(fallbacks=["v8"]),
        [recorded("v13")],
        [],
        {},
        "v8: neither recorded nor declared",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_why_there_is_no_version_to_put_back(case):
    target, history, versions, fields, why = REFUSED[case]
    spec, status = system(history, versions)

    choice = choose(target, spec, status.model_copy(update=fields), now=NOW)

    assert choice.candidate is None
    assert choice.why == why or (why.endswith("until") and choice.why.startswith(why))


FOUR = [recorded("v13"), recorded("v12"), recorded("v11"), recorded("v10")]
ORDERS = {
    "LastVerified goes on to the next newest": (LAST_VERIFIED, [], ["v12", "v11", "v10"]),
    "and never back to what failed": (LAST_VERIFIED, ["v12"], ["v11", "v10"]),
    "until there is none": (LAST_VERIFIED, ["v12", "v11", "v10"], []),
    "fallbacks instead of the next newest": (Target(fallbacks=["v10"]), [], ["v12", "v10"]),
    "a fallback after the first failed": (Target(fallbacks=["v10"]), ["v12"], ["v10"]),
    "a fallback that is the first as well": (Target(fallbacks=["v12", "v10"]), ["v12"], ["v10"]),
    "no more fallbacks": (Target(fallbacks=["v10"]), ["v12", "v10"], []),
    "Previous goes no further": (PREVIOUS, [], ["v12"]),
    "Previous, then fallbacks in their order": (
        Target(strategy="Previous", fallbacks=["v10", "v11"]),
        ["v12"],
        ["v10", "v11"],
    ),
    "Pinned goes no further": (pinned("v11"), ["v11"], []),
    "Pinned, then fallbacks": (
        Target(strategy="Pinned", version="v11", fallbacks=["v12", "v10"]),
        [],
        ["v11", "v12", "v10"],
    ),
}


@pytest.mark.parametrize("case", ORDERS)
def test_in_which_order_versions_are_tried(case):
    target, tried, order = ORDERS[case]

    ranked = rank(target, *system(FOUR, []), now=NOW, tried=tried)

    assert [r.version for r in ranked if not r.why_not] == order
    assert all(r.why_not == "put back in vain by this Rollback" for r in ranked if r.version in tried)


def test_an_unverified_version_is_not_reached_after_the_verified_ones_have_failed_unless_allowed():
    history = [recorded("v12"), recorded("v11", **UNVERIFIED)]

    def order(target):
        ranked = rank(target, *system(history, []), now=NOW, tried=["v12"])
        return [r.version for r in ranked if not r.why_not]

    assert order(LAST_VERIFIED) == []
    assert order(lenient()) == ["v11"]


def test_a_quarantine_ends_and_holds_by_name_or_by_values():
    entries = [quarantined("v12")]

    assert quarantine_of("v12", "", entries, now=NOW) == entries[0]
    assert quarantine_of("blue", recorded("v12").digest, entries, now=NOW) == entries[0]
    assert quarantine_of("blue", "", entries, now=NOW) is None
    assert quarantine_of("v12", "", entries, now=at(3600)) is None


def test_a_candidate_carries_what_is_needed_to_put_it_back():
    spec, status = system([recorded("v12")], [declared("v10")])

    ran, said = find("v12", "", spec, status), find("v10", "", spec, status)

    assert ran is not None
    assert said is not None
    assert (ran.values, ran.revision, ran.digest) == (image("v12"), "recommender-v12", recorded("v12").digest)
    assert (said.values, said.revision, said.digest) == (image("v10"), "", recorded("v10").digest)
    assert find("v9", "", spec, status) is None
    assert find("v12", ran.digest, spec, status) == ran
    assert find("v12", "0" * 64, spec, status) is None


@pytest.mark.parametrize(
    "shown",
    [
        {"model": {"template": "sha256:1"}},
        {"model": {"image": "shop/recommender:v12"}, "ranker": {"image": "r:1"}},
    ],
    ids=["another pin", "a component that is gone"],
)
def test_a_version_that_does_not_fit_the_components_is_not_put_back(shown):
    choice = choose(LAST_VERIFIED, make_system(), make_status("v13", recorded("v12", shown)), now=NOW)

    assert choice.candidate is None
    assert choice.why == "v12: recorded with other components or pins than there are now"


@pytest.mark.parametrize(
    "components",
    [
        [make_component(preset=None, container=None, pins=[IMAGE_PIN, DATASET_PIN])],
        [make_component(), make_component("features")],
    ],
    ids=["a pin that came later", "a component that came later"],
)
def test_a_version_that_lacks_what_the_components_have_now_is_not_put_back(components):
    """Its model never ran with the dataset, or the features, that it would be put beside."""
    spec = make_system(components)

    choice = choose(LAST_VERIFIED, spec, make_status("v13", recorded("v12")), now=NOW)

    assert choice.candidate is None
    assert choice.why == "v12: recorded with other components or pins than there are now"


def test_a_declared_version_may_name_less_than_the_components_have():
    spec = make_system(
        [make_component(), make_component("features")],
        versions=[declared("v12", model="shop/recommender:v12")],
    )

    choice = choose(LAST_VERIFIED, spec, make_status("v13", recorded("v13")), now=NOW)

    assert choice.candidate is not None
    assert choice.candidate.version == "v12"
