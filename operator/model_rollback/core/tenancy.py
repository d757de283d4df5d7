"""Which namespaces may use which metrics source."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SourceRules:
    """`namespaces`: source → the only namespaces whose policies may name it. What is not in it, everybody may."""

    namespaces: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def refusal(self, source: str, namespace: str) -> str:
        """Why not; empty when it may. Other namespaces are not named: tenants need not know of each other."""
        allowed = self.namespaces.get(source)
        if allowed is None or namespace in allowed:
            return ""
        return (
            f"metricsSource {source!r} may not be used in namespace {namespace}: "
            "whoever runs the operator must add it to the source's namespaces"
        )
