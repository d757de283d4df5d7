"""A source that is not for a namespace: its policies say so, and nothing of them is ever sent."""

from datetime import UTC, datetime, timedelta

import pytest

from model_rollback.core.tenancy import SourceRules
from model_rollback.engine.store import Store
from model_rollback.engine.tenancy import sources_for
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
RULES = SourceRules({"payments": frozenset({"bank", "cards"})})


def policy(namespace, source):
    return {
        "metadata": {"name": "p", "namespace": namespace, "uid": f"{namespace}/{source}", "generation": 1},
        "spec": {
            "modelDeploymentRef": {"name": "m"},
            "metricsSource": source,
            "triggers": [{"name": "t", "query": "up", "breach": {"operator": "LessThan", "threshold": "1"}}],
        },
    }


@pytest.mark.parametrize(
    ("namespace", "source", "may"),
    [("bank", "payments", True), ("shop", "payments", False), ("shop", "default", True)],
)
def test_a_policy_of_another_namespace_is_told_so_and_is_in_no_tick(namespace, source, may):
    entry = Store(RULES).put_policy(policy(namespace, source))

    assert (entry.spec is not None) == may
    assert bool(entry.questions) == may
    assert entry.problem == (
        ""
        if may
        else "metricsSource 'payments' may not be used in namespace shop: "
        "whoever runs the operator must add it to the source's namespaces"
    )


class Recording:
    def __init__(self):
        self.asked = []

    async def query(self, text, at, *, within=None):
        self.asked.append(text)
        return Answer(())

    async def query_range(self, text, start, end, step, *, within=None):
        raise NotImplementedError

    async def alert_rules(self, *, within=None):
        raise NotImplementedError


async def test_validation_asks_no_source_that_is_not_for_its_namespace():
    payments = Recording()
    sources = {"payments": payments, "default": Recording()}

    own, other = (sources_for(namespace, sources, RULES) for namespace in ("bank", "shop"))

    assert await own["payments"].query("up", NOW) == Answer(())
    assert other["default"] is sources["default"]
    with pytest.raises(MetricsError, match="may not be used in namespace shop") as caught:
        await other["payments"].query("secret", NOW)
    with pytest.raises(MetricsError, match="may not be used in namespace shop"):
        await other["payments"].query_range("secret", NOW, NOW, timedelta(seconds=1))
    with pytest.raises(MetricsError, match="may not be used in namespace shop"):
        await other["payments"].alert_rules()
    assert (caught.value.kind, payments.asked) == ("not_allowed", ["up"])
