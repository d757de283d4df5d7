"""Pods by the selector of their workload."""

from collections.abc import Sequence
from typing import Final

from model_rollback.adapters.connection import Connection
from model_rollback.adapters.objects import Paths
from model_rollback.errors import Refused
from model_rollback.ports import Object

MOST_PODS: Final = 500


class ClusterPods:
    """`Pods` on a real API server. Needs the verb `list` on pods."""

    def __init__(self, connection: Connection, paths: Paths | None = None) -> None:
        self._connection = connection
        self._paths = paths or Paths(connection)

    async def selected(self, namespace: str, selector: Object) -> Sequence[Object]:
        """See `ports.Pods`."""
        path = await self._paths.collection("v1", "Pod", namespace)
        query = {"labelSelector": label_selector(selector), "limit": str(MOST_PODS)}
        page = await self._connection.request("GET", path, what=f"list the pods of {namespace}", query=query)
        if (page.get("metadata") or {}).get("continue"):
            raise Refused(f"more than {MOST_PODS} pods are selected; they are not looked at")
        return list(page.get("items") or ())


def label_selector(selector: Object) -> str:
    """A LabelSelector object as the API takes it in a query."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, operator = expression["key"], expression["operator"]
        values = ",".join(expression.get("values") or ())
        if operator in ("In", "NotIn"):
            parts.append(f"{key} {operator.lower()} ({values})")
        else:
            parts.append(key if operator == "Exists" else f"!{key}")
    return ",".join(parts)
