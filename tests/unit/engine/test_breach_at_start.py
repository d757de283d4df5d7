"""At a first start thousands of ModelDeployments wait to be tracked: one that is breached does not wait with them."""

from types import SimpleNamespace

import pytest

from model_rollback.core.triggers import TriggerMemory
from model_rollback.engine.evaluator import Evaluator, Surroundings
from model_rollback.engine.store import Store
from tests.unit.core.builders import at
from tests.unit.engine.test_calm_ticks import body

KEY = ("shop", "m")


class Tracker:
    """Remembers whom it was to look after at once."""

    def __init__(self):
        self.attended = []

    async def attend(self, key):
        self.attended.append(key)

    async def credit_healthy_time(self, key, **_):
        pass


class Unwritable:
    """No status is written: that is not what is looked at."""

    async def patch_status(self, ref, status, resource_version):
        return {
            "metadata": {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "9"},
            "status": status,
        }


@pytest.mark.parametrize(
    ("state", "tracked", "attended"),
    [("Breached", 0, [KEY]), ("Breached", 1, []), ("Healthy", 0, [])],
    ids=["breached and not tracked yet", "breached", "healthy"],
)
async def test_a_breach_is_tracked_at_once(state, tracked, attended):
    store, tracker = Store(), Tracker()
    policy = store.put_policy(body("m", "up"))
    component = {
        "name": "model",
        "type": "Model",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "m"},
        "preset": "PodTemplate",
    }
    metadata = {"name": "m", "namespace": "shop", "uid": "m", "resourceVersion": "1", "generation": 1}
    system = {
        "metadata": metadata,
        "spec": {"components": [component]},
        "status": {"observedGeneration": tracked},
    }
    store.put_system(system)
    policy.memories = {"t": TriggerMemory(state, since=at(0), observed_at=at(0))}
    targets = SimpleNamespace(blindness=lambda _: "", blind={})
    evaluator = Evaluator(
        store,
        Unwritable(),
        targets,
        tracker,
        SimpleNamespace(tell=lambda *_: None),
        None,
        None,
    )

    await evaluator.conclude(policy, Surroundings(), now=at(0))

    assert tracker.attended == attended
