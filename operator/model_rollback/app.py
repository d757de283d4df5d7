"""Composition root: settings in, running operator out."""

import asyncio
import contextlib
import signal
import uuid
from collections.abc import Mapping

import kopf
import structlog

from model_rollback import telemetry
from model_rollback.adapters.clock import SystemClock
from model_rollback.adapters.connection import CONNECT_TIMEOUT, TOTAL_TIMEOUT, Connection, connect
from model_rollback.adapters.events import EventRecorder
from model_rollback.adapters.http import Endpoint
from model_rollback.adapters.lease import ClusterLease
from model_rollback.adapters.lists import ClusterLists
from model_rollback.adapters.metrics import PrometheusSource
from model_rollback.adapters.objects import ClusterObjects, Paths
from model_rollback.adapters.pods import ClusterPods
from model_rollback.adapters.probes.http import ServiceProbes
from model_rollback.adapters.probes.logs import ClusterPodLogs
from model_rollback.adapters.probes.services import ClusterServices
from model_rollback.adapters.sources import make_source
from model_rollback.adapters.watches import ClusterWatches
from model_rollback.core.brake import BrakeRule
from model_rollback.core.tenancy import SourceRules
from model_rollback.engine.leader import Alone, Election, Leadership, Rhythm
from model_rollback.engine.outside import Outside
from model_rollback.engine.runtime import Runtime
from model_rollback.garbage import Freezer
from model_rollback.handlers.supervisor import Watcher
from model_rollback.ports import Clock
from model_rollback.presets.kinds import add_folder
from model_rollback.settings import MetricsSourceSettings, Settings
from model_rollback.term import Elected, Term

log = structlog.get_logger(__name__)

_DRAIN = 2.0


class App:
    """The operator as one object: `run` until `stop`. The clock is a parameter; everything else is in the settings.

    Attributes:
        started: set once `runtime` and `port` are there.
    """

    _term: Term | None = None

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
            OSError: the port for health checks and metrics is taken, or there is no folder `targetKinds`.
            PresetError: a file in that folder does not describe a target kind.
        """
        self._catch_signals()
        if self._settings.target_kinds is not None:
            kinds = add_folder(self._settings.target_kinds)
            log.info("target kinds added", kinds=[k.kind for k in kinds])
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(log.info, "operator stopped")
            connection = await self._connect(stack)
            leadership = await self._leadership(stack)
            connection.guard(leadership.holds)
            sources = {name: make_source(s) for name, s in self._settings.metrics_sources.items()}
            for source in sources.values():
                stack.callback(source.close)
            await self._run(connection, leadership, sources)

    async def _connect(
        self,
        stack: contextlib.AsyncExitStack,
        *,
        total: float = TOTAL_TIMEOUT,
        connecting: float = CONNECT_TIMEOUT,
    ) -> Connection:
        kubeconfig = str(self._settings.kubeconfig) if self._settings.kubeconfig else None
        connection = await connect(kubeconfig, total=total, connect_timeout=connecting)
        stack.push_async_callback(connection.close)
        return connection

    async def _leadership(self, stack: contextlib.AsyncExitStack) -> Leadership:
        chosen = self._settings.leader_election
        if not chosen.enabled:
            return Alone()
        rhythm = Rhythm()
        # Of its own, so that a renewal never waits behind other requests.
        connection = await self._connect(stack, total=rhythm.request, connecting=rhythm.request)
        lease = ClusterLease(connection, chosen.namespace, chosen.name, duration=rhythm.duration)
        return Election(lease, f"{self._settings.pod_name}_{uuid.uuid4().hex[:12]}", rhythm)

    async def _run(
        self, connection: Connection, leadership: Leadership, sources: Mapping[str, PrometheusSource]
    ) -> None:
        paths = Paths(connection)
        recorder = EventRecorder(
            connection,
            self._clock,
            reporting_instance=self._settings.pod_name,
            dropped=telemetry.EVENTS_DROPPED,
            paths=paths,
        )

        def make_runtime(elected: Elected) -> Runtime:
            return self._make_runtime(connection, paths, recorder, sources, elected)

        def make_watcher(runtime: Runtime) -> Watcher:
            return Watcher(
                runtime.first_list,
                lambda: self._login(connection),
                self._settings.namespaces,
                runtime.look_for_missing,
            )

        endpoint = await self._serve()
        log.info(
            "operator started", port=self.port, sources=sorted(sources), namespaces=self._settings.namespaces
        )
        beside = [
            asyncio.create_task(recorder.run(), name="events"),
            asyncio.create_task(Freezer(self._known).run(), name="garbage"),
        ]
        try:
            while not self._stop.is_set():
                self._term = Term(leadership, make_runtime, make_watcher)
                self.started.set()
                await self._term.run(self._stop, lambda: recorder.drain(_DRAIN))
        finally:
            self._stop.set()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await endpoint.stop()

    async def _serve(self) -> Endpoint:
        """Health checks and metrics. Raises OSError when the port is taken."""
        endpoint = Endpoint(
            self._settings.http.host,
            self._settings.http.port,
            healthy=self._healthy,
            ready=self._ready,
            registry=telemetry.REGISTRY,
        )
        await endpoint.start()
        self.port = endpoint.port
        return endpoint

    def _make_runtime(
        self,
        connection: Connection,
        paths: Paths,
        recorder: EventRecorder,
        sources: Mapping[str, PrometheusSource],
        elected: Elected,
    ) -> Runtime:
        """The engine of one term, with its adapters."""
        brake, probes = self._settings.brake, self._settings.probes
        services = ClusterServices(connection, paths)
        outside = Outside(
            objects=ClusterObjects(connection, paths),
            acting_as=lambda namespace, account: ClusterObjects(
                connection, paths, user=f"system:serviceaccount:{namespace}:{account}"
            ),
            watches=ClusterWatches(connection, paths, namespaces=self._settings.namespaces),
            sources=sources,
            source_rules=_rules(self._settings.metrics_sources),
            http=ServiceProbes(services, probes.overrides(), probes.allowed_hosts),
            logs=ClusterPodLogs(connection, paths),
            pods=ClusterPods(connection, paths),
            lists=ClusterLists(connection, paths),
            recorder=recorder,
            clock=self._clock,
        )
        rule = BrakeRule(brake.max_share, brake.at_least, brake.release_after)
        return Runtime(outside, elected=elected, brake=rule, at_once=self._settings.concurrent_rollbacks)

    def _known(self) -> int:
        """How many objects of ours are known."""
        store = self._term.runtime.store if self._term is not None else None
        return len(store.policies) + len(store.systems) if store is not None else 0

    @property
    def runtime(self) -> Runtime:
        """The engine of the current term."""
        if self._term is None:
            raise RuntimeError("the operator has not been started")
        return self._term.runtime

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
        alive = self._term is not None and self._term.is_alive
        return alive or not self._stop.is_set(), {"engine": "running" if alive else "not running"}

    def _ready(self) -> tuple[bool, Mapping[str, str]]:
        watching = self._term is not None and self._term.is_warm
        return watching, {"watches": "established" if watching else "not established yet"}


def _rules(sources: Mapping[str, MetricsSourceSettings]) -> SourceRules:
    return SourceRules({name: frozenset(s.namespaces) for name, s in sources.items() if s.namespaces})
