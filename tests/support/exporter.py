"""An HTTP exporter in the test process: metrics that a test sets and a real Prometheus scrapes."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from tests.support.closing import Closing

SCRAPES = "exporter_scrapes"


class Exporter(Closing):
    """Serves one registry on a free port of the loopback interface until it is closed.

    It counts its own scrapes in the gauge `exporter_scrapes`: a value set before scrape n is in Prometheus when
    `exporter_scrapes` is n there.
    """

    def __init__(self, job: str) -> None:
        self.job = job
        self.scrapes = 0
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._server, self._thread = start_http_server(0, addr="127.0.0.1", registry=self.registry)

    @property
    def address(self) -> str:
        """host:port, as a scrape configuration wants it."""
        return f"127.0.0.1:{self._server.server_port}"

    def gauge(self, name: str, *, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, f"{name}, set by a test", labels, registry=self.registry)

    def counter(self, name: str, *, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, f"{name}, counted by a test", labels, registry=self.registry)

    def describe(self) -> Iterator[Metric]:
        """Names of this collector, so that registering it is not counted as a scrape."""
        yield GaugeMetricFamily(SCRAPES, "scrapes of this exporter")

    def collect(self) -> Iterator[Metric]:
        self.scrapes += 1
        yield GaugeMetricFamily(SCRAPES, "scrapes of this exporter", value=self.scrapes)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
