"""kopf under supervision, as far as that shows without a cluster."""

import asyncio
import getpass
from collections.abc import Mapping
from typing import Any, NoReturn

import kopf

from model_rollback.handlers import supervisor
from model_rollback.handlers.supervisor import Watcher


class Nobody:
    """An inbox that nothing may reach."""

    def on_policy(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        raise AssertionError(body)

    on_system = on_rollback = on_policy


async def test_kopf_starts_for_a_user_without_a_name_as_containers_have_them(monkeypatch) -> None:
    def no_name() -> NoReturn:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", no_name)
    asked = asyncio.Event()

    async def log_in() -> kopf.ConnectionInfo:
        asked.set()
        raise kopf.PermanentError("no credentials here")

    watcher = Watcher(Nobody(), log_in, ["shop"], lambda: None)
    running = asyncio.create_task(watcher.run())
    await asyncio.wait_for(asked.wait(), 60)
    watcher.stop()
    await asyncio.wait_for(running, 60)

    assert asked.is_set()
    assert not watcher.ready.is_set()


async def test_whoever_could_not_watch_for_a_while_is_told_when_it_can_again(monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(supervisor, "_LISTED", 0.01)
    runs, told = [], asyncio.Event()

    class Fails(Watcher):
        async def _run_once(self, loop):
            runs.append(told.is_set())
            if len(runs) > 1:
                self.ready.set()
                await told.wait()
                self.stop()
            return RuntimeError("the list was refused")

    async with asyncio.timeout(30):
        await Fails(Nobody(), lambda: None, [], told.set).run()

    assert runs == [False, False], "not before it watches again"
