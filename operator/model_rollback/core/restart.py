"""Restarting the workloads that read a component when they start, as `kubectl rollout restart` does."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from model_rollback.api.group import ANNOTATION_RESTARTED_AT, ANNOTATION_RESTARTED_BY
from model_rollback.api.types import format_time

_ANNOTATIONS: Final = "/spec/template/metadata/annotations"


def restarted_since(obj: Mapping[str, Any], moment: datetime) -> bool:
    """Whether its pods were told to restart at `moment` or later, by whomever; kubectl writes whole seconds."""
    text = _annotations(obj).get(ANNOTATION_RESTARTED_AT)
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return False
    return at is not None and at.tzinfo is not None and at >= moment.replace(microsecond=0)


def build_restart(obj: Mapping[str, Any], moment: datetime, by: str) -> list[dict[str, Any]]:
    """One JSON Patch that stamps `moment` on the pod template, if nobody has restarted it since it was read.

    Args:
        by: `<rollback>/<step>/<epoch>`, stamped beside it.
    """
    stamped = {ANNOTATION_RESTARTED_AT: format_time(moment), ANNOTATION_RESTARTED_BY: by}
    uid = {"op": "test", "path": "/metadata/uid", "value": obj["metadata"]["uid"]}
    metadata = obj["spec"]["template"].get("metadata")
    if metadata is None:
        return [uid, {"op": "add", "path": "/spec/template/metadata", "value": {"annotations": stamped}}]
    if metadata.get("annotations") is None:
        return [
            uid,
            {"op": "test", "path": _ANNOTATIONS, "value": None},
            {"op": "add", "path": _ANNOTATIONS, "value": stamped},
        ]
    old = metadata["annotations"].get(ANNOTATION_RESTARTED_AT)
    return [
        uid,
        {"op": "test", "path": _pointer(ANNOTATION_RESTARTED_AT), "value": old},
        *({"op": "add", "path": _pointer(key), "value": value} for key, value in stamped.items()),
    ]


def _annotations(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = obj["spec"]["template"].get("metadata") or {}
    annotations: Mapping[str, Any] = metadata.get("annotations") or {}
    return annotations


def _pointer(key: str) -> str:
    return f"{_ANNOTATIONS}/{key.replace('/', '~1')}"
