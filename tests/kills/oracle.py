"""What must be true after a breach, wherever the operator was killed and whatever the network did."""

from collections.abc import Iterator
from typing import Any

from tests.kills.trial import Aftermath

PinRecords = list[dict[str, str]]

_GENERATION = 3
"""Of the Deployment: v12 is applied, v13 is applied, v12 is put back; any other change of its spec is one too many."""

_TIMES = ("breachedAt", "detectedAt", "firstWriteAt", "revertedAt", "validatedAt", "finishedAt")


def violations(after: Aftermath, bad_pins: PinRecords) -> list[str]:
    """Everything that is wrong; empty when the laws held. `bad_pins`: v13's, as `before` must have kept them."""
    if len(after.rollbacks) != 1:
        return [f"{len(after.rollbacks)} Rollbacks: {[r['metadata']['name'] for r in after.rollbacks]}"]
    rollback = after.rollbacks[0]
    checks = (
        _record(rollback, after, bad_pins),
        _system(rollback["metadata"]["name"], after.system["status"]),
        _policy(rollback["metadata"]["name"], after),
        _target(rollback["metadata"]["name"], after),
    )
    return [said for check in checks for said in check]


def _record(rollback: dict[str, Any], after: Aftermath, bad_pins: PinRecords) -> Iterator[str]:
    status = rollback["status"]
    if status["result"] != "Succeeded":
        yield f"the result is {status['result']}"
    steps = {step["name"]: step for step in status["steps"]}
    states = {name: step["state"] for name, step in steps.items()}
    if states != {"revert-model": "Succeeded", "validate": "Succeeded"}:
        yield f"the steps are {states}"
    if steps["revert-model"]["before"] != bad_pins:
        yield f"`before` is {steps['revert-model']['before']}, not {bad_pins}"
    kept = {r["metadata"]["name"]: r["data"]["values"]["model"]["template"] for r in after.revisions}
    for revision, version in (("fromRevision", "v13"), ("toRevision", "v12")):
        template = kept.get(status.get(revision, ""))
        if template is None or not _image(template).endswith(f":{version}"):
            yield f"{revision} does not keep {version}: {template}"
    evidence = [(e["trigger"], e["value"]) for e in status.get("evidence", [])]
    if evidence != [("accuracy", "0.62")]:
        yield f"the evidence is {evidence}"
    times = [status["timeline"].get(key, "") for key in _TIMES]
    if "" in times or times != sorted(times):
        yield f"the timeline is {status['timeline']}"


def _system(rollback: str, status: dict[str, Any]) -> Iterator[str]:
    if status["activeRollback"]:
        yield f"the lock is held by {status['activeRollback']}"
    if status["currentVersion"] != "v12":
        yield f"the current version is {status['currentVersion']}"
    quarantined = [(q["version"], q["rollback"]) for q in status["quarantined"]]
    if quarantined != [("v13", rollback)]:
        yield f"quarantined is {quarantined}"
    finished = [(r["name"], r["result"]) for r in status["lastRollbacks"]]
    if finished != [(rollback, "Succeeded")]:
        yield f"lastRollbacks is {finished}"
    if status["episode"] != 2:
        yield f"the episode is {status['episode']}: v13 and the way back make 2"


def _policy(rollback: str, after: Aftermath) -> Iterator[str]:
    status = after.policy["status"]
    last = status.get("lastRollback", {})
    if (last.get("name"), last.get("result")) != (rollback, "Succeeded"):
        yield f"the policy's lastRollback is {last}"
    trigger = status["triggers"][0]
    seen = (trigger["state"], trigger["consumedBy"], trigger["episode"])
    if seen != ("Healthy", "", after.system["status"]["episode"]):
        yield f"the trigger is still at the old breach: {seen}"


def _target(rollback: str, after: Aftermath) -> Iterator[str]:
    metadata, template = after.deployment["metadata"], after.deployment["spec"]["template"]
    if not _image(template).endswith(":v12"):
        yield f"live is {_image(template)}"
    if metadata["generation"] != _GENERATION:
        yield f"the Deployment's generation is {metadata['generation']}: its spec was not written exactly once"
    signature = metadata["annotations"].get("modelrollback.dev/last-write")
    if signature != f"{rollback}/revert-model/0":
        yield f"the Deployment is signed {signature}"
    patches = [
        r for r in after.requests if r.resource == "deployments" and not r.dry_run and r.code is not None
    ]
    accepted = [r for r in patches if r.code == 200]
    if len(accepted) != 1:
        yield f"{len(accepted)} patches of the Deployment were accepted"
    if any(r.code not in {200, 409, 422} for r in patches):
        yield f"the Deployment's patches were answered with {[r.code for r in patches]}"


def _image(template: dict[str, Any]) -> str:
    return str(template["spec"]["containers"][0]["image"])
