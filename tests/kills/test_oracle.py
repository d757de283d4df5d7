"""The oracle and the journal are worth something: each kind of damage is seen, and no write is missed."""

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable

import pytest

from tests.kills.oracle import violations
from tests.kills.series import run_clean
from tests.kills.trial import Aftermath, Ground
from tests.support.api_proxy import Request
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
    step = after.rollbacks[0]["status"]["steps"][1]
    step["before"] = step["after"]


def the_bad_version_not_kept(after: Aftermath) -> None:
    after.revisions[:] = [r for r in after.revisions if not r["data"]["version"].startswith("v13")]


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
    container = after.deployments["router"]["spec"]["template"]["spec"]["containers"][0]
    container["image"] = container["image"].replace("v12", "v13")


def a_spec_written_twice(after: Aftermath) -> None:
    after.deployments["router"]["metadata"]["generation"] += 1


def reverts(after: Aftermath) -> list[Request]:
    return [r for r in after.requests if r.resource == "deployments" and r.code == 200 and not r.dry_run]


def a_second_patch_accepted(after: Aftermath) -> None:
    after.requests.append(reverts(after)[0])


def a_step_before_its_dependency(after: Aftermath) -> None:
    early = reverts(after)[-1]
    after.requests.remove(early)
    after.requests.insert(after.requests.index(reverts(after)[0]), early)


def replicas_written(after: Aftermath) -> None:
    reverts(after)[0].body.append({"op": "replace", "path": "/spec/replicas", "value": 1})


def replicas_changed(after: Aftermath) -> None:
    after.deployments["features"]["spec"]["replicas"] += 1


def a_write_elsewhere(after: Aftermath) -> None:
    after.audit.append(dataclasses.replace(after.audit[0], namespace="kube-system"))


def something_deleted(after: Aftermath) -> None:
    after.audit.append(dataclasses.replace(after.audit[0], verb="delete"))


def a_write_that_the_journal_lacks(after: Aftermath) -> None:
    after.audit.append(next(e for e in after.audit if e.resource == "deployments"))


def the_last_component_first(after: Aftermath) -> None:
    last = next(e for e in reversed(after.audit) if e.resource == "deployments")
    after.audit.remove(last)
    after.audit.insert(0, last)


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
    a_step_before_its_dependency,
    replicas_written,
    replicas_changed,
    a_write_elsewhere,
    something_deleted,
    a_write_that_the_journal_lacks,
    the_last_component_first,
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

    namespace = clean.system["metadata"]["namespace"]
    logged = audit.since(mark, user=f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}")
    in_log = Counter(
        (e.verb, "/".join(filter(None, [e.resource, e.subresource])))
        for e in logged
        if e.verb in WRITING_VERBS
    )
    in_journal = Counter((VERBS[r.method], r.resource) for r in clean.requests)
    assert in_journal == in_log
