"""ModelDeployments that came after the list of their targets' kind: a few are looked at one by one, many by a list.

At a start ten thousand of them come within seconds, and ten thousand single reads would keep the API server busy.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from model_rollback.engine.lull import Lull
from model_rollback.engine.store import Key
from model_rollback.engine.turns import each
from model_rollback.ports import ObjectRef

Gvk = tuple[str, str]
Late = tuple[Key, ObjectRef]

_FEW: Final = 20
_AT_ONCE: Final = 8


class Latecomers:
    """Serves each kind for itself; who comes meanwhile is served next, together."""

    def __init__(
        self,
        *,
        is_unseen: Callable[[Late], bool],
        look: Callable[[Late], Awaitable[None]],
        list_all: Callable[[Gvk], Awaitable[None]],
        lull: Lull,
    ) -> None:
        """`look` reads one target, `list_all` all of a kind. Both raise nothing but cancellation.

        `lull`: of the arrival of ModelDeployments; a list that serves many waits for all of them.
        """
        self._lull = lull
        self._is_unseen = is_unseen
        self._look = look
        self._list_all = list_all
        self._waiting: dict[Gvk, dict[Late, None]] = {}
        self._tasks: dict[Gvk, asyncio.Task[Any]] = {}

    def add(self, key: Key, ref: ObjectRef) -> None:
        """The target has not been looked at yet for this ModelDeployment."""
        gvk = (ref.api_version, ref.kind)
        self._waiting.setdefault(gvk, {})[key, ref] = None
        if gvk not in self._tasks:
            task = self._tasks[gvk] = asyncio.create_task(self._serve(gvk))
            task.add_done_callback(lambda _: self._tasks.pop(gvk))

    async def stop(self) -> None:
        """Looks no further."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, gvk: Gvk) -> None:
        while gvk in self._waiting:
            if len(self._waiting[gvk]) > _FEW:
                await self._lull.wait()
            late = self._waiting.pop(gvk)
            if len(late) > _FEW:
                await self._list_all(gvk)
            await each([one for one in late if self._is_unseen(one)], self._look, at_once=_AT_ONCE)
