"""What was written since the bad version appeared and is no part of it: a rollback leaves it as it is, and says so.

The API server does not keep what a writer changed, only what it holds and when it wrote last. So each version is kept
with a digest of each field that stood beside it, and what is as it was then is not listed. Where there is no such
digest (a version that was only declared, a Secret, what pods use), what is listed may have changed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from model_rollback.api.group import FIELD_MANAGER
from model_rollback.api.v1alpha1.not_reverted import NotReverted
from model_rollback.core.authorship import Path, authors, entries, leaves, value_at
from model_rollback.core.kinds import TargetType
from model_rollback.core.paths import Hop, Selector, parse
from model_rollback.core.pins import digest

MOST: Final = 50
_MOST_FIELDS: Final = 20
_MOST_KEPT: Final = 500
_DIGITS: Final = 12
_CONTROLLERS: Final = (FIELD_MANAGER, "kube-controller-manager", "kube-scheduler", "kubelet")
_BESIDE: Final = ("f:metadata", "f:status")


def appeared_at(
    targets: Sequence[tuple[TargetType, Mapping[str, Any]]], current_since: datetime | None
) -> datetime | None:
    """When the bad version was written into the targets that differ; `managedFields` know whole seconds.

    `current_since`: when it was noticed, which may be later, and earlier than a write that changed nothing.
    """
    moments = [found[0].at for kind, obj in targets if (found := authors(kind, obj))]
    if current_since is not None:
        moments.append(current_since.replace(microsecond=0))
    return min(moments, default=None)


def beside(kind: TargetType, obj: Mapping[str, Any]) -> dict[str, str]:
    """What stands in a target beside its pins: field → a digest of its value. Nothing of a Secret is told."""
    if kind.confidential:
        return {}
    pins = _pins(kind)
    held = (path for _, _, fields in entries(obj) for path in _paths(fields, pins))
    return {_show(path): _digest_at(obj, path) for path, _ in zip(held, range(_MOST_KEPT), strict=False)}


def of_target(
    kind: TargetType, obj: Mapping[str, Any], since: datetime, kept: Mapping[str, str] | None = None
) -> list[NotReverted]:
    """What others than controllers hold of a target beside its pins, when they wrote it since then.

    `kept`: what `beside` said when the version that is put back was recorded; what is as it was then is left out.
    """
    pins, before = _pins(kind), kept or {}
    return _held(obj, since, pins, lambda path: before.get(_show(path)) != _digest_at(obj, path))


def of_reference(obj: Mapping[str, Any], since: datetime) -> list[NotReverted]:
    """What others hold of a ConfigMap or Secret that pods use, when they wrote it since then."""
    return _held(obj, since, [], lambda _: True)


def _held(
    obj: Mapping[str, Any], since: datetime, pins: Sequence[Path], counts: Callable[[Path], bool]
) -> list[NotReverted]:
    found = []
    for manager, at, fields in entries(obj):
        if at < since or manager in _CONTROLLERS:
            continue
        shown = tuple(dict.fromkeys(_show(path)[:256] for path in _paths(fields, pins) if counts(path)))
        if shown:
            name = f"{obj['kind']} {obj['metadata']['name']}"
            found.append(NotReverted(object=name, manager=manager, at=at, fields=shown[:_MOST_FIELDS]))
    return found


def _paths(fields: Mapping[str, Any], pins: Sequence[Path]) -> Iterator[Path]:
    """What is owned beside metadata, status and pins."""
    for path in leaves(fields):
        if path and path[0] not in _BESIDE and not any(path[: len(pin)] == pin for pin in pins):
            yield path


def _pins(kind: TargetType) -> list[Path]:
    return [_as_fields(pin.path) for pin in kind.pins]


def _digest_at(obj: Mapping[str, Any], path: Path) -> str:
    return digest([value_at(obj, path)])[:_DIGITS]


def _as_fields(path: str) -> Path:
    """A pin's path as `fieldsV1` writes it, up to the document that it goes on in."""
    parts: list[str] = []
    for part in parse(path):
        if isinstance(part, Hop):
            break
        if isinstance(part, Selector):
            parts.append(f'k:{{"{part.field}":"{part.value}"}}')
        else:
            parts.append(f"i:{part}" if isinstance(part, int) else f"f:{part}")
    return tuple(parts)


def _show(path: Path) -> str:
    """`spec.template.spec.containers[name=server].image`."""
    return "".join(_parts(path)).removeprefix(".")


def _parts(path: Path) -> Iterator[str]:
    for part in path:
        form, _, name = part.partition(":")
        if form == "f":
            yield f".{name}"
        elif form == "k":
            yield "[" + name.strip("{}").replace('"', "").replace(":", "=") + "]"
        else:
            yield f"[{name}]"
