"""The handlers that kopf calls, in a registry of our own.

Only low-level handlers: no change handlers, timers, daemons or indexes, hence no finalizer and no annotation of ours
on anybody's object. With the operator gone, everything can still be deleted.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import kopf

from model_rollback.api.group import GROUP, VERSION
from model_rollback.api.v1alpha1 import ModelDeployment, Rollback, RollbackPolicy


class Inbox(Protocol):
    """Where watch events go."""

    def on_policy(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """A RollbackPolicy was seen or deleted."""

    def on_system(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """A ModelDeployment was seen or deleted."""

    def on_rollback(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """A Rollback was seen or deleted."""


Login = Callable[[], Awaitable[kopf.ConnectionInfo]]
"""Credentials as they are now; asked again after a 401."""


def build_registry(inbox: Inbox, log_in: Login) -> kopf.OperatorRegistry:
    """A registry with everything that kopf does for us."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await log_in()

    @kopf.on.event(GROUP, VERSION, RollbackPolicy.info.plural, registry=registry)
    async def policy_seen(event: kopf.RawEvent, **_: Any) -> None:
        inbox.on_policy(_body(event), deleted=event["type"] == "DELETED")

    @kopf.on.event(GROUP, VERSION, ModelDeployment.info.plural, registry=registry)
    async def system_seen(event: kopf.RawEvent, **_: Any) -> None:
        inbox.on_system(_body(event), deleted=event["type"] == "DELETED")

    @kopf.on.event(GROUP, VERSION, Rollback.info.plural, registry=registry)
    async def rollback_seen(event: kopf.RawEvent, **_: Any) -> None:
        inbox.on_rollback(_body(event), deleted=event["type"] == "DELETED")

    return registry


def _body(event: kopf.RawEvent) -> Mapping[str, Any]:
    return dict(event["object"])
