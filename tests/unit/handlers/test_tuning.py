"""kopf as a watcher only: every setting that matters is set, and in one place."""

import pytest

from model_rollback.handlers.tuning import tuned


def test_kopf_only_watches():
    settings = tuned([])

    assert settings.posting.enabled is False, "Events are published by our own recorder"
    assert settings.peering.standalone is True, "peering is no leader election"
    assert settings.queueing.worker_limit == 50, "ten thousand objects must not be ten thousand tasks at once"
    assert 0 < settings.queueing.idle_timeout <= 0.05, (
        "each worker holds its place for so long after its object"
    )


def test_a_watch_that_dies_is_noticed():
    settings = tuned([])

    assert settings.watching.server_timeout == 300
    assert settings.watching.client_timeout > settings.watching.server_timeout
    assert sum(settings.networking.error_backoffs) < 10, (
        "blind for seconds, then the supervisor starts it anew"
    )


@pytest.mark.parametrize(("namespaces", "disabled"), [([], False), (["shop"], True)])
def test_crds_are_watched_only_with_the_right_to_do_so(namespaces, disabled):
    assert tuned(namespaces).scanning.disabled is disabled
