"""What the machine itself can do at best: one raw instant query, one raw JSON Patch, many of them at once."""

import asyncio
import time
from collections.abc import Sequence

from bench.ground import NAMESPACE, Ground
from model_rollback.adapters.connection import connect
from model_rollback.adapters.objects import ClusterObjects
from model_rollback.ports import ObjectRef


def query(place: Ground, text: str, times: int = 50) -> list[float]:
    """Seconds that each of so many instant queries took, one after the other."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        place.prometheus.query(text)
        took.append(time.perf_counter() - began)
    return took


def patches(place: Ground, names: Sequence[str], *, at_once: int = 1) -> tuple[list[float], float]:
    """Patches a label of each Deployment: seconds that each took, and how many went through in a second."""
    return asyncio.run(_patches(place, names, at_once))


async def _patches(place: Ground, names: Sequence[str], at_once: int) -> tuple[list[float], float]:
    connection = await connect(str(place.kubeconfig))
    objects = ClusterObjects(connection)
    waiting = iter(names)
    took: list[float] = []

    async def worker() -> None:
        for number, name in enumerate(waiting):
            began = time.perf_counter()
            await objects.patch_json(
                ObjectRef("apps/v1", "Deployment", NAMESPACE, name),
                [{"op": "add", "path": "/metadata/labels", "value": {"floor": str(number)}}],
            )
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    try:
        await asyncio.gather(*(worker() for _ in range(at_once)))
    finally:
        await connection.close()
    return took, len(names) / (time.perf_counter() - began)
