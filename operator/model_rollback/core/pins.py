"""Pins: reading a version out of an object, telling versions apart, and writing one back as a JSON Patch."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from model_rollback.api.group import ANNOTATION_LAST_WRITE
from model_rollback.core.confidential import Confidential, revealed
from model_rollback.core.kinds import TargetType
from model_rollback.core.paths import MISSING, PathError, Resolved, resolve
from model_rollback.presets.kinds import PinPreset

PinValues = Mapping[str, Any]
"""Pin name → value, of one component."""

Values = Mapping[str, PinValues]
"""Component name → its pin values: a version."""


def read(kind: TargetType, obj: Mapping[str, Any]) -> dict[str, Any]:
    """The pin values in `obj`, without what does not make a version.

    Raises:
        PathError: the object has no such place, e.g. no container of that name.
    """
    values = {pin.name: _identity(pin, _resolve(pin, obj).value) for pin in kind.pins}
    if not kind.confidential:
        return values
    metadata = obj["metadata"]
    salt = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
    return {name: Confidential(value, salt) for name, value in values.items()}


def _resolve(pin: PinPreset, obj: Mapping[str, Any]) -> Resolved:
    return resolve(pin.path, obj, optional=pin.optional)


def _identity(pin: PinPreset, value: Any) -> Any:
    if value is MISSING:
        return None
    if not isinstance(value, Mapping) or not pin.is_pod_template:
        return value
    value = dict(value)
    metadata = {k: v for k, v in (value.get("metadata") or {}).items() if k != "creationTimestamp"}
    annotations = {
        k: v
        for k, v in (metadata.pop("annotations", None) or {}).items()
        if k not in pin.ignore_annotations and not k.startswith(pin.ignore_annotation_prefixes)
    }
    if annotations:
        metadata["annotations"] = annotations
    value["metadata"] = metadata
    return value


def show(value: Any) -> str:
    """A pin value as it stands in a status: a short string as it is, a number, truth value or null as `json:…`,
    a confidential value as `hidden:…`, anything else as `sha256:…`. No two values are shown alike."""
    if isinstance(value, Confidential):
        return value.shown()
    if value is None or isinstance(value, bool | int | float):
        return f"json:{json.dumps(value)}"
    if value == "":
        return 'json:""'
    if isinstance(value, str) and len(value) <= 1024 and not value.startswith(("json:", "hidden:")):
        return value
    return f"sha256:{digest(value)}"


def digest(value: Any) -> str:
    """sha256 of the value as sorted JSON: its identity, 64 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def shown_as(declared: str, live: str) -> str:
    """How a declared value is shown; where a number or a truth value is live, it is taken for one."""
    if not live.startswith("json:") or live in ("json:null", 'json:""'):
        return declared
    try:
        value = json.loads(declared)
    except ValueError:
        return declared
    return show(value) if isinstance(value, bool | int | float) else declared


def declare_over(live: PinValues, shown: Mapping[str, str]) -> dict[str, Any]:
    """`live` with the values of a declared version, given as `shown_as` shows them."""
    return {
        **live,
        **{
            pin: text
            if isinstance(live.get(pin), str) or not text.startswith("json:")
            else json.loads(text[5:])
            for pin, text in shown.items()
        },
    }


def version_digest(shown: Mapping[str, Mapping[str, str]]) -> str:
    """The identity of a version: component → pin → shown value. Digests stand for large values."""
    return digest({component: dict(pins) for component, pins in shown.items()})


def show_all(values: PinValues) -> dict[str, str]:
    """Each pin of a component as it stands in a status."""
    return {pin: show(value) for pin, value in values.items()}


def shown(values: Values) -> dict[str, dict[str, str]]:
    """A version's values as they stand in a status."""
    return {component: show_all(pins) for component, pins in values.items()}


def identity_of(values: Values) -> str:
    """The identity of a version by its full values."""
    return version_digest(shown(values))


def build_patch(
    kind: TargetType, obj: Mapping[str, Any], wanted: PinValues, last_write: str
) -> list[dict[str, Any]]:
    """One JSON Patch that puts `wanted` into `obj` if it is still as it was read, and signs it.

    Every operation that writes is guarded by a `test`: the object's uid, the name at each resolved list index, each
    pin's old value as read, and the signature of the last write. So a late duplicate fails, and so does a write over
    a version that nobody judged; an autoscaler or a status update disturbs nothing.

    Raises:
        PathError: a pin is not there, or `wanted` says nothing of it.
    """
    unsaid = [pin.name for pin in kind.pins if pin.name not in wanted]
    if unsaid:
        raise PathError(f"what is to be put back says nothing of {', '.join(unsaid)}")
    operations: list[dict[str, Any]] = [_test("/metadata/uid", obj["metadata"]["uid"])]
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    for pin in kind.pins:
        place = _resolve(pin, obj)
        value = revealed(wanted[pin.name])
        value = MISSING if pin.optional and value is None else value
        operations += [_test(pointer, found) for pointer, found in place.selectors]
        old[place.pointer] = place.stored
        # Pins in one document: each goes into the text that the pins before have written.
        new[place.pointer] = place.rewritten(new.get(place.pointer, place.stored), value)
    for pointer, before in old.items():
        operations += _write(pointer, before, new[pointer])
    return operations + _sign(obj, last_write)


def _write(pointer: str, before: Any, after: Any) -> list[dict[str, Any]]:
    if before is MISSING:
        absent = [_test(pointer, None)]
        return absent if after is MISSING else [*absent, {"op": "add", "path": pointer, "value": after}]
    if after is MISSING:
        return [_test(pointer, before), {"op": "remove", "path": pointer}]
    return [_test(pointer, before), {"op": "replace", "path": pointer, "value": after}]


def _test(path: str, value: Any) -> dict[str, Any]:
    return {"op": "test", "path": path, "value": value}


def _sign(obj: Mapping[str, Any], last_write: str) -> list[dict[str, Any]]:
    annotations = obj["metadata"].get("annotations")
    pointer = "/metadata/annotations/" + ANNOTATION_LAST_WRITE.replace("/", "~1")
    if annotations is None:
        # `test` of a missing parent fails, so its absence is tested by value before it is made.
        return [
            _test("/metadata/annotations", None),
            {"op": "add", "path": "/metadata/annotations", "value": {ANNOTATION_LAST_WRITE: last_write}},
        ]
    return [
        _test(pointer, annotations.get(ANNOTATION_LAST_WRITE)),
        {"op": "add", "path": pointer, "value": last_write},
    ]


def last_write(obj: Mapping[str, Any]) -> str:
    """Our signature on the object: `<rollback>/<step>/<epoch>`, or empty."""
    value = (obj["metadata"].get("annotations") or {}).get(ANNOTATION_LAST_WRITE, "")
    return str(value)
