"""Which version is put back, and the words for each that is not."""

import pytest

from model_rollback.api.v1alpha1.rollback_policy import Target
from model_rollback.core.candidates import choose, find, quarantine_of
from model_rollback.core.versions import component_statuses
from tests.unit.core.builders import (
    NOW,
    at,
    declared,
    image,
    live,
    make_status,
    make_system,
    quarantined,
    recorded,
)

LAST_VERIFIED = Target()
PREVIOUS = Target(strategy="Previous")
UNVERIFIED = {"safe": "Unverified"}


def pinned(version):
    return Target(strategy="Pinned", version=version)


def lenient(**fields):
    return Target(allow_unverified="WhenNoVerified", **fields)


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
}


@pytest.mark.parametrize("case", REFUSED)
def test_why_there_is_no_version_to_put_back(case):
    target, history, versions, fields, why = REFUSED[case]
    spec, status = system(history, versions)

    choice = choose(target, spec, status.model_copy(update=fields), now=NOW)

    assert choice.candidate is None
    assert choice.why == why or (why.endswith("until") and choice.why.startswith(why))


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
