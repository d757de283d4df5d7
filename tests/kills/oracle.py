"""What must be true after a breach, wherever the operator was killed and whatever the network did.

Told by three witnesses: the objects, the journal of the proxy, and the API server's audit log.
"""

from collections.abc import Iterator
from typing import Any

from tests.kills.systems import COMPONENTS, DEPENDS_ON, REPLICAS
from tests.kills.trial import Aftermath
from tests.support.api_proxy import Request

PinRecords = dict[str, list[dict[str, str]]]
"""Component → what its step recorded as `before`."""

_GENERATION = 3
"""Of each Deployment: v12 is applied, v13 is applied, v12 is put back; any other change of its spec is one too many."""

_OVER = ("Healthy", "NoData", "Error")

_TIMES = ("breachedAt", "detectedAt", "firstWriteAt", "revertedAt", "validatedAt", "finishedAt")


def violations(after: Aftermath, bad_pins: PinRecords) -> list[str]:
    """Everything that is wrong; empty when the laws held. `bad_pins`: v13's, as `before` must have kept them."""
    if len(after.rollbacks) != 1:
        return [f"{len(after.rollbacks)} Rollbacks: {[r['metadata']['name'] for r in after.rollbacks]}"]
    rollback = after.rollbacks[0]
    name = rollback["metadata"]["name"]
    checks = (
        _record(rollback, after, bad_pins),
        _system(rollback, after),
        _policy(name, after),
        *(_target(name, component, after) for component in COMPONENTS),
        _order(after),
        _audit(after),
    )
    return [said for check in checks for said in check]


def steps_of(rollback: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The steps by name."""
    return {step["name"]: step for step in rollback["status"]["steps"]}


def _record(rollback: dict[str, Any], after: Aftermath, bad_pins: PinRecords) -> Iterator[str]:
    status, steps = rollback["status"], steps_of(rollback)
    if status.get("result") != "Succeeded":
        yield f"the result is {status['result']}"
    states = {name: step["state"] for name, step in steps.items()}
    wanted = {f"revert-{component}" for component in COMPONENTS} | {"validate"}
    if states != dict.fromkeys(wanted, "Succeeded"):
        yield f"the steps are {states}"
    for component, pins in bad_pins.items():
        kept = steps.get(f"revert-{component}", {}).get("before")
        if kept != pins:
            yield f"`before` of {component} is {kept}, not {pins}"
    revisions = {r["metadata"]["name"]: r["data"]["values"] for r in after.revisions}
    for revision, version in (("fromRevision", "v13"), ("toRevision", "v12")):
        images = [_image(pins["template"]) for pins in revisions.get(status.get(revision, ""), {}).values()]
        if len(images) != len(COMPONENTS) or not all(image.endswith(f":{version}") for image in images):
            yield f"{revision} does not keep {version}: {images}"
    evidence = [(e["trigger"], e["value"]) for e in status.get("evidence", [])]
    if evidence != [("accuracy", "0.62")]:
        yield f"the evidence is {evidence}"
    times = [status["timeline"].get(key, "") for key in _TIMES]
    if "" in times or times != sorted(times):
        yield f"the timeline is {status['timeline']}"


def _system(record: dict[str, Any], after: Aftermath) -> Iterator[str]:
    status, rollback = after.system["status"], record["metadata"]["name"]
    if status.get("activeRollback"):
        yield f"the lock is held by {status['activeRollback']}"
    if status.get("currentVersion") != "v12":
        yield f"the current version is {status['currentVersion']}"
    quarantined = [(q["version"], q["rollback"]) for q in status.get("quarantined", [])]
    # A suffix tells it from a mixture that ran while the components were deployed one after the other.
    bad = record["spec"]["fromVersion"]
    if quarantined != [(bad, rollback)] or not bad.startswith("v13"):
        yield f"quarantined is {quarantined}"
    finished = [(r["name"], r["result"]) for r in status.get("lastRollbacks", [])]
    if finished != [(rollback, "Succeeded")]:
        yield f"lastRollbacks is {finished}"
    locked = next(
        (s["episode"] for s in _statuses(after, "modeldeployments") if s.get("activeRollback")), None
    )
    if locked is None or status["episode"] != locked + 1:
        yield f"the episode is {status['episode']}, and was {locked} when the lock was set: the way back is one"


def _policy(rollback: str, after: Aftermath) -> Iterator[str]:
    status = after.policy["status"]
    last = status.get("lastRollback", {})
    if (last.get("name"), last.get("result")) != (rollback, "Succeeded"):
        yield f"the policy's lastRollback is {last}"
    trigger = status["triggers"][0]
    seen = (
        trigger["state"],
        trigger.get("breachingSince", ""),
        trigger.get("consumedBy", ""),
        trigger["episode"],
    )
    # A busy Prometheus misses a scrape now and then; without data the breach is over all the same.
    if seen[0] not in _OVER or seen[1:] != ("", "", after.system["status"]["episode"]):
        yield f"the trigger is still at the old breach: {seen}"


def _target(rollback: str, component: str, after: Aftermath) -> Iterator[str]:
    name = COMPONENTS[component]
    live = after.deployments[name]
    metadata, spec = live["metadata"], live["spec"]
    if not _image(spec["template"]).endswith(":v12"):
        yield f"live in {name} is {_image(spec['template'])}"
    if metadata["generation"] != _GENERATION:
        yield f"the generation of {name} is {metadata['generation']}: its spec was not written exactly once"
    if spec["replicas"] != REPLICAS:
        yield f"{name} has {spec['replicas']} replicas"
    signature = metadata["annotations"].get("modelrollback.dev/last-write", "")
    if not signature.startswith(f"{rollback}/revert-{component}/"):
        yield f"{name} is signed {signature}"
    patches = [r for r in after.requests if _patches(r, name) and r.code is not None]
    accepted = [r for r in patches if r.code == 200]
    if len(accepted) != 1:
        yield f"{len(accepted)} patches of {name} were accepted"
    if any(r.code not in {200, 409, 422} for r in patches):
        yield f"the patches of {name} were answered with {[r.code for r in patches]}"
    if any("replicas" in op["path"] for r in patches for op in r.body):
        yield f"a patch of {name} names replicas"


def _order(after: Aftermath) -> Iterator[str]:
    """No step is written before those that it depends on were recorded as done."""
    steps: dict[str, str] = {}
    for request in after.requests:
        if request.code != 200:
            continue
        if request.resource == "rollbacks/status":
            steps = {s["name"]: s["state"] for s in _status(request).get("steps", [])}
        for component, name in COMPONENTS.items():
            if _patches(request, name):
                early = [d for d in DEPENDS_ON[component] if steps.get(f"revert-{d}") != "Succeeded"]
                if early:
                    yield f"{component} was written while {early} was not done: {steps}"
                if steps.get(f"revert-{component}") != "Running":
                    yield f"{component} was written while its step was {steps.get(f'revert-{component}')}"


def _audit(after: Aftermath) -> Iterator[str]:
    """Nothing outside the namespace, nothing deleted, each Deployment written once and in order."""
    namespace = after.system["metadata"]["namespace"]
    elsewhere = [e.uri for e in after.audit if e.namespace != namespace]
    if elsewhere:
        yield f"written outside the namespace: {elsewhere}"
    removed = [e.uri for e in after.audit if e.verb.startswith("delete")]
    if removed:
        yield f"deleted: {removed}"
    written = [e.name for e in after.audit if e.resource == "deployments" and e.code == 200]
    if sorted(written) != sorted(COMPONENTS.values()):
        yield f"the audit log has these writes of Deployments: {written}"
    for component, name in COMPONENTS.items():
        late = (
            [COMPONENTS[d] for d in DEPENDS_ON[component] if COMPONENTS[d] in written[written.index(name) :]]
            if (name in written)
            else []
        )
        if late:
            yield f"the audit log has {late} after {name}: {written}"


def _patches(request: Request, name: str) -> bool:
    return request.resource == "deployments" and not request.dry_run and request.path.endswith(f"/{name}")


def _statuses(after: Aftermath, plural: str) -> Iterator[dict[str, Any]]:
    """The statuses of that kind that were accepted, in order."""
    return (_status(r) for r in after.requests if r.resource == f"{plural}/status" and r.code == 200)


def _status(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = next(op["value"] for op in request.body if op["path"] == "/status")
    return found


def _image(template: dict[str, Any]) -> str:
    return str(template["spec"]["containers"][0]["image"])
