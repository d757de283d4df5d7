"""Composition root: settings in, running operator out."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping

import kopf
import structlog

from model_rollback import telemetry
from model_rollback.adapters.clock import SystemClock
from model_rollback.adapters.connection import Connection, connect
from model_rollback.adapters.events import EventRecorder
from model_rollback.adapters.http import Endpoint
from model_rollback.adapters.metrics import PrometheusSource
from model_rollback.adapters.objects import ClusterObjects, Paths
from model_rollback.adapters.probes.http import ServiceProbes
from model_rollback.adapters.probes.logs import ClusterPodLogs
from model_rollback.adapters.sources import make_source
from model_rollback.adapters.watches import ClusterWatches
from model_rollback.core.brake import BrakeRule
from model_rollback.core.tenancy import SourceRules
from model_rollback.engine.runtime import Runtime
from model_rollback.handlers.supervisor import Watcher
from model_rollback.ports import Clock
from model_rollback.settings import MetricsSourceSettings, Settings

log = structlog.get_logger(__name__)

_KOPF_EXIT = 8.0
_DRAIN = 2.0
_EPOCH = 0
"""One replica writes, so there is one epoch; a standby needs an election that numbers its leaders."""


class App:
    """The operator as one object: `run` until `stop`. The clock is a parameter; everything else is in the settings.

    Attributes:
        started: set once `runtime` and `port` are there.
    """

    runtime: Runtime

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._stop = asyncio.Event()
        self.started = asyncio.Event()
        self.port = 0

    def stop(self) -> None:
        """Asks `run` to end; safe at any moment and more than once."""
        self._stop.set()

    async def run(self) -> None:
        """Runs until `stop`.

        Raises:
            NotConfiguredError: no cluster is named.
            OSError: the port for health checks and metrics is taken.
        """
        connection = await connect(str(self._settings.kubeconfig) if self._settings.kubeconfig else None)
        sources = {name: make_source(s) for name, s in self._settings.metrics_sources.items()}
        try:
            await self._run(connection, sources)
        finally:
            for source in sources.values():
                source.close()
            await connection.close()
            log.info("operator stopped")

    async def _run(self, connection: Connection, sources: Mapping[str, PrometheusSource]) -> None:
        paths = Paths(connection)
        recorder = EventRecorder(
            connection,
            self._clock,
            reporting_instance=self._settings.pod_name,
            registry=telemetry.REGISTRY,
            paths=paths,
        )
        brake = self._settings.brake
        self.runtime = runtime = Runtime(
            objects=ClusterObjects(connection, paths),
            watches=ClusterWatches(connection, paths, namespaces=self._settings.namespaces),
            sources=sources,
            source_rules=_rules(self._settings.metrics_sources),
            http=ServiceProbes(self._settings.probes.overrides()),
            logs=ClusterPodLogs(connection, paths),
            recorder=recorder,
            clock=self._clock,
            epoch=_EPOCH,
            brake=BrakeRule(brake.max_share, brake.at_least, brake.release_after),
        )
        endpoint = Endpoint(
            self._settings.http.host,
            self._settings.http.port,
            healthy=self._healthy,
            ready=self._ready,
            registry=telemetry.REGISTRY,
        )
        await endpoint.start()
        self.port = endpoint.port
        log.info(
            "operator started", port=self.port, sources=sorted(sources), namespaces=self._settings.namespaces
        )
        self._engine = asyncio.create_task(runtime.run(), name="engine")
        events = asyncio.create_task(recorder.run(), name="events")
        self._watcher = Watcher(runtime, lambda: self._login(connection), self._settings.namespaces)
        watching = asyncio.create_task(self._watcher.run(), name="kopf")
        self._catch_signals()
        self.started.set()
        try:
            await asyncio.wait(
                [asyncio.ensure_future(self._stop.wait()), self._engine], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._stop.set()
            await self._end(watching, events, recorder, endpoint)

    async def _end(
        self,
        watching: asyncio.Task[None],
        events: asyncio.Task[None],
        recorder: EventRecorder,
        endpoint: Endpoint,
    ) -> None:
        failure = self._engine.exception() if self._engine.done() and not self._engine.cancelled() else None
        self._watcher.stop()
        self._engine.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._engine
        await asyncio.wait([watching], timeout=_KOPF_EXIT)
        watching.cancel()
        await recorder.drain(_DRAIN)
        events.cancel()
        await asyncio.gather(watching, events, return_exceptions=True)
        await endpoint.stop()
        if failure is not None:
            raise failure

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, self.stop)

    async def _login(self, connection: Connection) -> kopf.ConnectionInfo:
        login = await connection.login()
        return kopf.ConnectionInfo(
            server=login.server,
            ca_path=login.ca_file,
            insecure=login.insecure,
            scheme=login.scheme,
            token=login.token,
            certificate_path=login.certificate_file,
            private_key_path=login.key_file,
            proxy_url=login.proxy_url,
        )

    def _healthy(self) -> tuple[bool, Mapping[str, str]]:
        alive = not self._engine.done()
        return alive, {"engine": "running" if alive else "ended"}

    def _ready(self) -> tuple[bool, Mapping[str, str]]:
        watching = self._watcher.ready.is_set()
        return watching, {"watches": "established" if watching else "not established yet"}


def _rules(sources: Mapping[str, MetricsSourceSettings]) -> SourceRules:
    return SourceRules({name: frozenset(s.namespaces) for name, s in sources.items() if s.namespaces})
