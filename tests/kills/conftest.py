"""What all trials share: rights, CRDs, and one exporter whose accuracy follows what runs in each namespace."""

from collections.abc import Iterator
from pathlib import Path

import pykube
import pytest

from tests.kills.accuracy import AccuracyOfWhatRuns
from tests.kills.trial import Ground
from tests.support.audit import Audit
from tests.support.cluster import Cluster
from tests.support.commands import Helm
from tests.support.operator import Operators, chart_rights
from tests.support.prometheus import Prometheus


@pytest.fixture
def ground(
    cluster: Cluster,
    helm: Helm,
    prometheus: Prometheus,
    operators: Operators,
    audit: Audit,
    tmp_path: Path,
) -> Iterator[Ground]:
    """A cluster with the CRDs (`operators` brings them) and the metric; each trial makes a namespace in it."""
    del operators
    api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(cluster.kubeconfig)))
    exporter = prometheus.exporter("kills", interval="1s")
    with AccuracyOfWhatRuns(api) as accuracy:
        exporter.registry.register(accuracy)
        yield Ground(cluster, chart_rights(helm), tmp_path, audit)
