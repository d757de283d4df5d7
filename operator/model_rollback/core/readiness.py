"""Whether the newest spec of an object is rolled out, read from the object alone.

A status speaks of the generation that it was made for: what an older one said counts for nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from model_rollback.api.v1alpha1.component import StatedCondition, StatedField
from model_rollback.core.paths import MISSING, PathError, resolve
from model_rollback.presets.kinds import ReadinessRule, Rule

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the newest spec is rolled out.

    Attributes:
        failed: the kind's own controller has given up waiting.
        failed_at: when it said so (seconds); a verdict that is older than a write does not speak of it.
    """

    ready: bool
    message: str = ""
    failed: bool = False
    failed_at: datetime | None = None


READY: Final = Readiness(ready=True)
NOT_SEEN: Final = Readiness(ready=False, message="not seen yet")


def judge(rule: ReadinessRule, obj: Object) -> Readiness:
    """The rule on one object. Total: a status of any shape gives an answer."""
    metadata = obj.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return _not_yet("it is being deleted")
    if rule.rule == "AtOnce":
        return READY
    behind = _behind(obj)
    if behind:
        return _not_yet(behind)
    given_up = _given_up(rule, obj)
    if given_up is not None:
        return given_up
    stated = next(_unmet(rule, obj), "")
    if stated:
        return _not_yet(stated)
    return READY if rule.conditions or rule.fields else _RULES[rule.rule](obj)


def _not_yet(message: str) -> Readiness:
    return Readiness(ready=False, message=message)


def _behind(obj: Object) -> str:
    """Why the status speaks of an older spec; empty when it does not, or when the kind does not say."""
    observed = _status(obj).get("observedGeneration")
    if observed is None:
        return ""
    generation = (obj.get("metadata") or {}).get("generation", 0)
    try:
        caught_up = int(observed) >= int(generation)
    except (TypeError, ValueError):
        return f"its status is of generation {observed!r}, which is no number"
    return "" if caught_up else "its controller has not seen the newest spec yet"


def _status(obj: Object) -> Mapping[str, Any]:
    status = obj.get("status")
    return status if isinstance(status, Mapping) else {}


def _conditions(obj: Object) -> Sequence[Mapping[str, Any]]:
    conditions = _status(obj).get("conditions")
    return [c for c in conditions if isinstance(c, Mapping)] if isinstance(conditions, list) else []


def _condition(obj: Object, type_: str) -> Mapping[str, Any]:
    return next((c for c in _conditions(obj) if c.get("type") == type_), {})


def _unmet(rule: ReadinessRule, obj: Object) -> Iterator[str]:
    generation = (obj.get("metadata") or {}).get("generation", 0)
    for wanted in rule.conditions:
        found = _condition(obj, wanted.type)
        if found.get("status") != wanted.status:
            said = f": {found['message']}" if found.get("message") else ""
            yield f"condition {wanted.type} is {found.get('status', 'not there')}, not {wanted.status}{said}"
        elif _is_of_older_spec(found, generation):
            yield f"condition {wanted.type} speaks of an older spec"
    for field in rule.fields:
        value = text_at(field.path, obj)
        if value != field.equals:
            yield f"{field.path} is {value if value is not None else 'not there'}, not {field.equals}"


def _is_of_older_spec(condition: Mapping[str, Any], generation: Any) -> bool:
    observed = condition.get("observedGeneration")
    return isinstance(observed, int) and isinstance(generation, int) and 0 < observed < generation


def text_at(path: str, obj: Object) -> str | None:
    """The scalar there as text, true and false as YAML writes them; None when nothing is there."""
    try:
        value = resolve(path, obj).value if path else MISSING
    except PathError:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def holds(field: StatedField | None, obj: Object) -> bool:
    """Whether the field has that value."""
    return field is not None and text_at(field.path, obj) == field.equals


def _given_up(rule: ReadinessRule, obj: Object) -> Readiness | None:
    stalled = StatedCondition(type="Stalled")
    for wanted in (*rule.failed.conditions, stalled):
        found = _condition(obj, wanted.type)
        if found.get("status") == wanted.status:
            why = found.get("message") or found.get("reason") or ""
            at = _time(found.get("lastTransitionTime"))
            return Readiness(ready=False, failed=True, failed_at=at, message=f"{wanted.type}: {why}")
    for field in rule.failed.fields:
        if holds(field, obj):
            why = text_at(rule.failed.message_path, obj)
            at = _time(text_at(rule.failed.time_path, obj))
            message = f"{field.path} is {field.equals}{f': {why}' if why else ''}"
            return Readiness(ready=False, failed=True, failed_at=at, message=message)
    return None


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo is not None else None


def _kstatus(obj: Object) -> Readiness:
    """https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md, the generic rule."""
    generation = (obj.get("metadata") or {}).get("generation", 0)
    reconciling = _condition(obj, "Reconciling")
    if reconciling.get("status") == "True":
        return _not_yet(f"Reconciling: {reconciling.get('message', '')}")
    ready = _condition(obj, "Ready")
    if not ready:
        return READY
    if _is_of_older_spec(ready, generation):
        return _not_yet("condition Ready speaks of an older spec")
    if ready.get("status") != "True":
        return _not_yet(f"Ready is {ready.get('status')}: {ready.get('message') or ready.get('reason', '')}")
    return READY


def _deployment(obj: Object) -> Readiness:
    """The *new* pods are there, alone and available; `Available` alone would speak of the old ReplicaSet."""
    if "observedGeneration" not in _status(obj):
        return _not_yet("its controller has not seen the newest spec yet")
    progressing = _condition(obj, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Readiness(
            ready=False,
            failed=True,
            failed_at=_time(progressing.get("lastUpdateTime")),
            message=f"progress deadline exceeded: {progressing.get('message', '')}",
        )
    wanted = _count(obj.get("spec"), "replicas", 1)
    updated, total, available = (
        _count(_status(obj), key) for key in ("updatedReplicas", "replicas", "availableReplicas")
    )
    if updated < wanted:
        return _not_yet(f"{updated} of {wanted} replicas are updated{_refused_pods(obj)}")
    if total > updated:
        return _not_yet(f"{total - updated} replicas of the old version are still there")
    if available < updated:
        return _not_yet(f"{available} of {updated} updated replicas are available")
    return READY


def _refused_pods(obj: Object) -> str:
    """Why its controller can make no pod, such as a quota; its message names a pod that never was."""
    failure = _condition(obj, "ReplicaFailure")
    return f"; no pod can be made: {failure.get('message', '')}" if failure.get("status") == "True" else ""


def _statefulset(obj: Object) -> Readiness:
    """Every pod is of the update revision and available, whatever the partition says."""
    status = _status(obj)
    if "observedGeneration" not in status:
        return _not_yet("its controller has not seen the newest spec yet")
    wanted = _count(obj.get("spec"), "replicas", 1)
    updated, total, available = (
        _count(status, key) for key in ("updatedReplicas", "replicas", "availableReplicas")
    )
    if updated < wanted:
        return _not_yet(f"{updated} of {wanted} replicas are updated{_held_up(obj)}")
    if total > wanted:
        return _not_yet(f"{total - wanted} replicas too many are still there")
    if available < wanted:
        return _not_yet(f"{available} of {wanted} replicas are available")
    return READY


def _held_up(obj: Object) -> str:
    strategy = (obj.get("spec") or {}).get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return "; its updateStrategy is OnDelete, so a pod changes when somebody deletes it"
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    return f"; its partition {partition} keeps pods on the old revision" if partition else ""


def _daemonset(obj: Object) -> Readiness:
    status = _status(obj)
    if "observedGeneration" not in status:
        return _not_yet("its controller has not seen the newest spec yet")
    wanted = _count(status, "desiredNumberScheduled")
    updated = _count(status, "updatedNumberScheduled")
    available = _count(status, "numberAvailable")
    if updated < wanted:
        return _not_yet(f"{updated} of {wanted} pods are updated{_held_up(obj)}")
    if available < wanted:
        return _not_yet(f"{available} of {wanted} pods are available")
    return READY


def _count(where: Any, key: str, default: int = 0) -> int:
    value = where.get(key, default) if isinstance(where, Mapping) else default
    return value if isinstance(value, int) else default


_RULES: Final[Mapping[Rule, Callable[[Object], Readiness]]] = {
    "KStatus": _kstatus,
    "Deployment": _deployment,
    "StatefulSet": _statefulset,
    "DaemonSet": _daemonset,
    "AtOnce": lambda _: READY,
}
