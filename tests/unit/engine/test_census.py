"""Which policies count as breached and unanswered."""

import pytest

from model_rollback.core.decide import decide
from model_rollback.engine.census import take_census
from model_rollback.engine.store import Store
from tests.unit.core.builders import breached, healthy, make_policy, make_status, make_trigger, observe, wire


def counted(memory, *, status=None, **policy):
    """What is counted of one policy after a tick that left this memory."""
    store, spec = Store(), make_policy(make_trigger(**policy))
    metadata = {"name": "p", "namespace": "shop", "uid": "u", "generation": 1}
    entry = store.put_policy({"metadata": metadata, "spec": wire(spec)})
    entry.memories = {"accuracy": memory}
    fields = {"status": status} if status is not None else {}
    seen = observe(policy=spec, triggers=entry.memories, **fields)
    entry.status = decide(seen, entry.status, generation=1).status
    return take_census(store).unanswered


NOWHERE = make_status(history=())


@pytest.mark.parametrize(
    ("memory", "fields", "unanswered"),
    [
        (breached(), {"status": NOWHERE}, {"NoSafeTarget": 1}),
        (breached(), {}, {}),
        (healthy(), {"status": NOWHERE}, {}),
        (breached(consumed_by="recommender-1a2b3c4d5e"), {"status": NOWHERE}, {}),
        (breached(), {"status": make_status(active_rollback="recommender-1a2b3c4d5e")}, {}),
        (breached(), {"status": NOWHERE, "action": "Notify"}, {}),
    ],
    ids=["no target", "about to start", "no breach", "answered", "being answered", "it only notifies"],
)
def test_a_breach_that_a_gate_keeps_from_its_rollback_is_counted(memory, fields, unanswered):
    assert counted(memory, **fields) == unanswered
