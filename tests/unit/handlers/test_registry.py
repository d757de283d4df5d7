"""What kopf does for us: it watches. Anything else would put a finalizer on somebody's object."""

import kopf

from model_rollback.handlers.registry import build_registry


class Inbox:
    def on_policy(self, body, *, deleted):
        raise NotImplementedError

    on_system = on_rollback = on_policy


async def log_in() -> kopf.ConnectionInfo:
    raise NotImplementedError


def test_nothing_needs_a_finalizer_or_keeps_anything_on_an_object():
    registry = build_registry(Inbox(), log_in)

    assert len(list(registry._watching.get_all_handlers())) == 3
    assert list(registry._changing.get_all_handlers()) == []
    assert list(registry._spawning.get_all_handlers()) == []
    assert list(registry._indexing.get_all_handlers()) == []
