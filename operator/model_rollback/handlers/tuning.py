"""Every kopf setting that differs from its default, in one place."""

from collections.abc import Collection

import kopf


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
    settings.networking.request_timeout = 30
    # Then kopf ends and its supervisor starts it again; with kopf's own back-offs it would be blind for a minute.
    settings.networking.error_backoffs = (1, 1, 2)
    settings.queueing.worker_limit = 50
    # A worker that waits for more events of its object keeps its place: with kopf's 5 s, fifty workers would hand on
    # ten objects a second, and ten thousand policies would be known after a quarter of an hour.
    settings.queueing.idle_timeout = 0.01
    settings.queueing.exit_timeout = 1
    return settings
