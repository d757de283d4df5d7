"""What all trials share: rights, CRDs, and one exporter whose accuracy follows what runs in each namespace."""

from pathlib import Path

import pykube
import pytest

from tests.kills.accuracy import AccuracyOfWhatRuns
from tests.kills.trial import Ground
from tests.support.cluster import Cluster
from tests.support.commands import Helm, Kubectl
from tests.support.operator import Operators
from tests.support.prometheus import Prometheus


@pytest.fixture
def ground(
    cluster: Cluster,
    kubectl: Kubectl,
    helm: Helm,
    prometheus: Prometheus,
    operators: Operators,
    tmp_path: Path,
) -> Ground:
    """A cluster with the CRDs (`operators` brings them) and the metric; each trial makes a namespace in it."""
    api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(cluster.kubeconfig)))
    prometheus.exporter("kills", interval="500ms").registry.register(AccuracyOfWhatRuns(api))
    return Ground(cluster, kubectl, helm, tmp_path)
