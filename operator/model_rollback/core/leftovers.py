"""What was written since the bad version appeared and is no part of it: a rollback leaves it as it is, and says so.

The API server does not keep what a writer changed, only what it holds and when it wrote last. So what is listed may
have changed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from model_rollback.api.group import FIELD_MANAGER
from model_rollback.api.v1alpha1.not_reverted import NotReverted
from model_rollback.core.authorship import authors, entries, leaves
from model_rollback.core.kinds import TargetType
from model_rollback.core.paths import Hop, Selector, parse

MOST: Final = 50
_MOST_FIELDS: Final = 20
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


def of_target(kind: TargetType, obj: Mapping[str, Any], since: datetime) -> list[NotReverted]:
    """What others than controllers hold of a target beside its pins, when they wrote it since then."""
    pins = [_as_fields(pin.path) for pin in kind.pins]
    return _held(obj, since, lambda path: not any(path[: len(pin)] == pin for pin in pins))


def of_reference(obj: Mapping[str, Any], since: datetime) -> list[NotReverted]:
    """What others hold of a ConfigMap or Secret that pods use, when they wrote it since then."""
    return _held(obj, since, lambda _: True)


def _held(
    obj: Mapping[str, Any], since: datetime, counts: Callable[[tuple[str, ...]], bool]
) -> list[NotReverted]:
    found = []
    for manager, at, fields in entries(obj):
        if at < since or manager in _CONTROLLERS:
            continue
        paths = [p for p in leaves(fields) if p and p[0] not in _BESIDE and counts(p)]
        shown = tuple(dict.fromkeys(_show(path)[:256] for path in paths))
        if shown:
            name = f"{obj['kind']} {obj['metadata']['name']}"
            found.append(NotReverted(object=name, manager=manager, at=at, fields=shown[:_MOST_FIELDS]))
    return found


def _as_fields(path: str) -> tuple[str, ...]:
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


def _show(path: tuple[str, ...]) -> str:
    """`spec.template.spec.containers[name=server].image`."""
    return "".join(_parts(path)).removeprefix(".")


def _parts(path: tuple[str, ...]) -> Iterator[str]:
    for part in path:
        form, _, name = part.partition(":")
        if form == "f":
            yield f".{name}"
        elif form == "k":
            yield "[" + name.strip("{}").replace('"', "").replace(":", "=") + "]"
        else:
            yield f"[{name}]"
