"""kopf as a watcher only: every setting that matters is set, and in one place."""

import sys
from types import SimpleNamespace

import kopf
import pytest
from structlog.testing import capture_logs

from model_rollback.handlers.tuning import nothing_remembered, tuned


def test_kopf_only_watches():
    settings = tuned([])

    assert settings.posting.enabled is False, "Events are published by our own recorder"
    assert settings.peering.standalone is True, "peering is no leader election"
    assert settings.queueing.worker_limit == 50, "ten thousand objects must not be ten thousand tasks at once"
    assert 0 < settings.queueing.idle_timeout <= 0.05, (
        "each worker holds its place for so long after its object"
    )


def test_a_fleet_is_listed_in_pages():
    assert 0 < tuned([]).watching.chunk_size <= 500, (
        "a whole fleet in one answer holds every thread for a second"
    )


def test_kopf_copies_no_object_to_compare_it_with_the_one_before():
    storage = tuned([]).persistence.diffbase_storage
    body = kopf.Body({"metadata": {"name": "a"}, "spec": {"field": "value"}})
    patch = kopf.Patch()

    storage.store(body=body, patch=patch, essence=storage.build(body=body))

    assert storage.build(body=body) is None
    assert storage.fetch(body=body) is None
    assert not patch, "nothing of kopf's is written on anybody's object"


async def test_kopf_remembers_no_object():
    memories = nothing_remembered()
    assert memories is not None, "kopf keeps its memories elsewhere"
    body = {"metadata": {"uid": "1"}}

    first = await memories.recall(body, noticed_by_listing=True, memobase=kopf.Memo())

    assert await memories.recall(body) is not first
    assert list(memories.iter_all_memories()) == []
    await memories.forget(body)


class OfAnotherKopf:
    """Has the name, and nothing of what is done with it."""

    async def recall(self, body):
        raise AssertionError("kopf would be blind")


@pytest.mark.parametrize(
    "module",
    [None, SimpleNamespace(), SimpleNamespace(ResourceMemories=OfAnotherKopf)],
    ids=["no such module", "no such name", "another one of that name"],
)
def test_where_kopf_keeps_its_memories_elsewhere_it_is_left_to_itself_and_that_is_said(monkeypatch, module):
    monkeypatch.setitem(sys.modules, "kopf._core.reactor.inventory", module)

    with capture_logs() as said:
        assert nothing_remembered() is None

    assert [line["log_level"] for line in said] == ["error"]


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
