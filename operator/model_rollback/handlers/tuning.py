"""Every kopf setting that differs from its default, in one place."""

import importlib
import inspect
from collections.abc import Collection, Iterable
from typing import Any, Final

import kopf
import structlog

log = structlog.get_logger(__name__)

_MEMORIES: Final = ("kopf._core.reactor.inventory", "ResourceMemories")
"""The only name that kopf does not promise: pyproject.toml holds kopf below the next minor version for it."""

PAGE = 200
"""Objects in one answer to a list. Decoding one holds every thread of the process: a whole fleet would for a second."""


class NothingSeen(kopf.DiffBaseStorage):
    """kopf keeps no last-seen state of any object: only change handlers would need it, and there are none.

    Its own storage copies every object of every event to compare it with what was seen before.
    """

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> Any:
        """Not even an empty part of the object: that would be copied, and compared with the one before."""
        return None

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """There never was anything."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Writes nothing on the object."""


def nothing_remembered() -> Any:
    """A keeper of kopf's memories that keeps none: only daemons, timers, indexes and change handlers would need them.

    Kopf's own, for ten thousand policies with their ModelDeployments, takes 30 MB. That is all that is lost where kopf
    has no such keeper any more, or another one: then it is None, kopf remembers, and the log says so.
    """
    module, name = _MEMORIES
    try:
        kept = getattr(importlib.import_module(module), name)
        fits = "ephemeral" in inspect.signature(kept.recall).parameters
    except (ImportError, AttributeError, TypeError, ValueError):
        fits = False
    if not fits:
        log.error(
            "this kopf keeps its memories elsewhere: it takes more memory than it needs",
            missing=f"{module}.{name}",
        )
        return None

    class NothingRemembered(kept):  # type: ignore[misc, valid-type]
        async def recall(self, raw_body: Any, **given: Any) -> Any:
            """A fresh memory for each event."""
            return await super().recall(raw_body, **{**given, "ephemeral": True})

    return NothingRemembered()


def tuned(namespaces: Collection[str]) -> kopf.OperatorSettings:
    """Settings for kopf as a watcher only.

    A watch that dies silently is the worst failure here, so watches end and begin anew every few minutes, and a
    server that does not answer is given up on early.
    """
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Without cluster-wide rights the CRDs cannot be watched, and kopf would retry that for a minute at start.
    settings.scanning.disabled = bool(namespaces)
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1
    settings.watching.chunk_size = PAGE
    settings.persistence.diffbase_storage = NothingSeen()
    settings.networking.request_timeout = 30
    # Then kopf ends and its supervisor starts it again; with kopf's own back-offs it would be blind for a minute.
    settings.networking.error_backoffs = (1, 1, 2)
    settings.queueing.worker_limit = 50
    # A worker that waits for more events of its object keeps its place: with kopf's 5 s, fifty workers would hand on
    # ten objects a second, and ten thousand policies would be known after a quarter of an hour.
    settings.queueing.idle_timeout = 0.01
    settings.queueing.exit_timeout = 1
    return settings
