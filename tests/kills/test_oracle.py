"""The oracle and the journal are worth something: each kind of damage is seen, and no write is missed."""

import copy
from collections import Counter
from collections.abc import Callable

import pytest

from tests.kills.oracle import violations
from tests.kills.series import run_clean
from tests.kills.trial import Aftermath, Ground
from tests.support.audit import WRITING_VERBS, Audit
from tests.support.operator import SERVICE_ACCOUNT

pytestmark = [pytest.mark.cluster, pytest.mark.kills]

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def a_second_rollback(after: Aftermath) -> None:
    after.rollbacks.append(after.rollbacks[0])


def no_success(after: Aftermath) -> None:
    after.rollbacks[0]["status"]["result"] = "Aborted"


def a_step_left_running(after: Aftermath) -> None:
    after.rollbacks[0]["status"]["steps"][0]["state"] = "Running"


def before_overwritten(after: Aftermath) -> None:
    step = after.rollbacks[0]["status"]["steps"][0]
    step["before"] = step["after"]


def the_bad_version_not_kept(after: Aftermath) -> None:
    after.revisions[:] = [r for r in after.revisions if r["data"]["version"] != "v13"]


def no_evidence(after: Aftermath) -> None:
    after.rollbacks[0]["status"]["evidence"] = []


def a_hole_in_the_timeline(after: Aftermath) -> None:
    del after.rollbacks[0]["status"]["timeline"]["firstWriteAt"]


def a_lock_left(after: Aftermath) -> None:
    after.system["status"]["activeRollback"] = after.rollbacks[0]["metadata"]["name"]


def no_quarantine(after: Aftermath) -> None:
    after.system["status"]["quarantined"] = []


def a_result_counted_twice(after: Aftermath) -> None:
    after.system["status"]["lastRollbacks"] *= 2


def an_episode_too_many(after: Aftermath) -> None:
    after.system["status"]["episode"] += 1


def a_policy_that_was_not_told(after: Aftermath) -> None:
    del after.policy["status"]["lastRollback"]


def a_breach_still_open(after: Aftermath) -> None:
    after.policy["status"]["triggers"][0]["state"] = "Breached"


def the_bad_version_live(after: Aftermath) -> None:
    container = after.deployment["spec"]["template"]["spec"]["containers"][0]
    container["image"] = container["image"].replace("v12", "v13")


def a_spec_written_twice(after: Aftermath) -> None:
    after.deployment["metadata"]["generation"] += 1


def a_second_patch_accepted(after: Aftermath) -> None:
    after.requests.append(
        next(r for r in after.requests if r.resource == "deployments" and r.code == 200 and not r.dry_run)
    )


DAMAGES: list[Callable[[Aftermath], None]] = [
    a_second_rollback,
    no_success,
    a_step_left_running,
    before_overwritten,
    the_bad_version_not_kept,
    no_evidence,
    a_hole_in_the_timeline,
    a_lock_left,
    no_quarantine,
    a_result_counted_twice,
    an_episode_too_many,
    a_policy_that_was_not_told,
    a_breach_still_open,
    the_bad_version_live,
    a_spec_written_twice,
    a_second_patch_accepted,
]


def test_the_oracle_sees_each_damage_and_the_journal_each_write(
    ground: Ground, audit: Audit, subtests: pytest.Subtests
) -> None:
    mark = audit.mark()
    clean, bad_pins = run_clean(ground)

    for damage in DAMAGES:
        damaged = copy.deepcopy(clean)
        damage(damaged)
        with subtests.test(damage.__name__):
            assert violations(damaged, bad_pins)

    namespace = clean.deployment["metadata"]["namespace"]
    logged = audit.since(mark, user=f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}")
    in_log = Counter(
        (e.verb, "/".join(filter(None, [e.resource, e.subresource])))
        for e in logged
        if e.verb in WRITING_VERBS
    )
    in_journal = Counter((VERBS[r.method], r.resource) for r in clean.requests)
    assert in_journal == in_log
