"""The world around one engine, as it is handed to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model_rollback.core.tenancy import SourceRules
from model_rollback.engine.tenancy import sources_for
from model_rollback.ports import (
    Clock,
    HttpProbes,
    Lists,
    MetricsSource,
    Objects,
    PodLogs,
    Pods,
    Recorder,
    Watches,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """One implementation of each port.

    Attributes:
        acting_as: the objects as a ServiceAccount (namespace, name) may read and write them.
        source_rules: which namespaces may use which of `sources`.
    """

    objects: Objects
    acting_as: Callable[[str, str], Objects]
    watches: Watches
    sources: Mapping[str, MetricsSource]
    source_rules: SourceRules
    http: HttpProbes
    logs: PodLogs
    pods: Pods
    lists: Lists
    recorder: Recorder
    clock: Clock

    def sources_for(self, namespace: str) -> Mapping[str, MetricsSource]:
        """The sources as a namespace sees them: those that it may not use refuse."""
        return sources_for(namespace, self.sources, self.source_rules)
