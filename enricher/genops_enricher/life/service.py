"""The life of the service: starts the parts in order, replaces them, and stops them in order.

    start   data folder, health pages, pipelines (`stages`), receivers; then: ready
    apply   what a new configuration changes is built anew, and the rest goes on
    stop    draining, receivers, pipelines (with what is queued), health pages, data folder

Between the receivers and the pipelines are gates: while the pipelines are replaced, senders are
told to try again. How stages are made and joined is decided in `stages`, which settings concern
which part in `changes`, and when there is something to apply in `reload`.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING

from google.protobuf.internal import api_implementation

from genops_enricher.config.model import Config
from genops_enricher.errors import StartError
from genops_enricher.host.data_dir import DataDir
from genops_enricher.host.memory import MemoryGuard
from genops_enricher.host.open_files import allow_open_files
from genops_enricher.life.changes import Part, changed_parts, check_changeable
from genops_enricher.life.health import Health, HealthServer, grpc_health
from genops_enricher.life.kept import Kept
from genops_enricher.life.prices import Prices
from genops_enricher.life.stages import Stages
from genops_enricher.pipeline import Signal
from genops_enricher.receive.gate import Gate
from genops_enricher.receive.grpc_server import GrpcReceiver
from genops_enricher.receive.http_server import HttpReceiver
from genops_enricher.telemetry import Telemetry
from genops_pricing import Catalog

if TYPE_CHECKING:  # loads the OpenTelemetry SDK
    from genops_enricher.tracing.around import Tracing

__all__ = ["Service"]

_log = logging.getLogger(__name__)

# What a replacement waits for attempts and requests under way. A destination that hangs would take
# all of its timeout; what it was being sent stays in the queue and goes out again.
_GRACE_S = 2.0
_AGAIN_S = 1.0


class Service:
    """One enricher. `start` and `stop` are called once each; `apply` may come from any thread."""

    def __init__(self, config: Config, catalog: Catalog, *, supervised: bool = False) -> None:
        """Touches no disk and opens no port.

        Args:
            config: what to run.
            catalog: the prices.
            supervised: one of several, see `workers`: others listen on the same ports, the folder
                is locked by whoever started them all, and that one serves the health pages.
        """
        self._supervised = supervised
        self._config = config
        self._catalog = catalog
        self.telemetry = Telemetry()
        self.health = Health(self._degraded)
        self.reasons: list[Callable[[], list[str]]] = []
        """What else gives a sentence for everything that a person should act on."""
        self._memory = MemoryGuard(self.telemetry)
        self._prices = Prices(self.telemetry)
        self._grpc_health = grpc_health(self.health)
        self._data_dir = DataDir(config.service.data_dir, lock=not supervised)
        self._kept = Kept(self.telemetry)
        self._gates = {signal: Gate() for signal in Signal}
        self._tracing: Tracing | None = None
        self._stages: Stages | None = None
        self._receivers: dict[str, GrpcReceiver | HttpReceiver] = {}
        self._health_server: HealthServer | None = None
        self._lock = threading.Lock()  # held while parts are started, replaced or stopped
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start everything, or nothing.

        Raises:
            StartError: a port is taken, the data folder is in use or can't be written, a TLS file
                can't be used.
        """
        with self._lock, ExitStack() as started:
            self._data_dir.open()
            started.callback(self._data_dir.close)
            self._start(frozenset(Part), self._config, self._catalog)
            started.pop_all()
            self.telemetry.set("genops_process_start_time_seconds", time.time())
            self._describe()
            self.health.ready()
        _log.info(
            "ready: %s, catalog %s, data in %s",
            self._listening(),
            self._catalog.version,
            self._data_dir.path,
        )

    def apply(self, config: Config, catalog: Catalog) -> frozenset[Part]:
        """Run with another configuration and catalog, or go on as before.

        Returns:
            The parts that were replaced.

        Raises:
            ConfigError: the process can't change to it; nothing was touched.
            StartError: a part can't be started with it; those of before run again.
        """
        with self._lock:
            if self._stopping.is_set():
                return frozenset()
            check_changeable(self._config, config)
            if parts := changed_parts(self._config, config):
                self._replace(parts, config, catalog)
            if self._stages is not None and Part.PIPELINES not in parts:
                self._stages.swap(config, catalog)
            self._config, self._catalog = config, catalog
            self._describe()
            return parts

    def stop(self, why: str) -> None:
        """Stop in order within `service.shutdown_timeout`. What is not delivered stays on disk."""
        self._stopping.set()
        self.health.draining()
        timeout_s = self._config.service.shutdown_timeout_s
        deadline_s = time.monotonic() + timeout_s
        _log.info("%s: stopping; what is queued is delivered for up to %g s", why, timeout_s)
        with self._lock:
            self._stop(frozenset(Part), max(deadline_s - time.monotonic(), 0), drain=True)
            self._data_dir.close()
        _log.info("stopped")

    def _replace(self, parts: frozenset[Part], config: Config, catalog: Catalog) -> None:
        self.health.reloading()
        try:
            receivers = parts & {Part.RECEIVERS}
            self._stop(receivers, _GRACE_S, drain=False)
            self._stop(parts - receivers, _GRACE_S, drain=False)
            # Parts and their threads hold each other: they would stay until Python happens to look.
            # It takes some tens of milliseconds, and senders wait anyway.
            gc.collect()
            before = self._stages
            try:
                self._start(parts, config, catalog)
            except StartError:
                self._start_again(parts)
                raise
            if before is not None and Part.PIPELINES in parts:
                before.retire(config)
            _log.info("listening: %s", self._listening())
        finally:
            if not self._stopping.is_set():
                self.health.ready()

    def _start_again(self, parts: frozenset[Part]) -> None:
        """Start the parts as they were, however long what they need stays taken."""
        while not self._stopping.is_set():
            try:
                self._start(parts, self._config, self._catalog)
            except StartError as error:
                _log.error("what ran before the reload can't start: %s; trying again", error)
                self._stopping.wait(_AGAIN_S)
            else:
                return

    def _start(self, parts: frozenset[Part], config: Config, catalog: Catalog) -> None:
        """Start these parts with this configuration, or none of them."""
        started: set[Part] = set()
        try:
            if Part.HEALTH in parts and not self._supervised:
                endpoint = config.service.health_endpoint
                self._health_server = HealthServer(endpoint, self.health, self.telemetry)
                self._health_server.start()
                started.add(Part.HEALTH)
            if Part.TRACING in parts:
                self._tracing = self._make_tracing(config)
                started.add(Part.TRACING)
            if Part.PIPELINES in parts:
                self._stages = Stages(config, catalog, self._kept, self.telemetry, self._tracing)
                self._stages.start()
                started.add(Part.PIPELINES)
                for signal, intake in self._stages.intakes.items():
                    self._gates[signal].open(intake)
            if Part.RECEIVERS in parts:
                started.add(Part.RECEIVERS)
                self._receivers = self._make_receivers(config)
                for receiver in self._receivers.values():
                    receiver.start()
        except BaseException:
            self._stop(frozenset(started), _GRACE_S, drain=False)
            raise

    def _stop(self, parts: frozenset[Part], timeout_s: float, *, drain: bool) -> None:
        deadline_s = time.monotonic() + timeout_s

        def left_s() -> float:
            return max(deadline_s - time.monotonic(), 0.0)

        if Part.RECEIVERS in parts:
            for receiver in self._receivers.values():
                receiver.stop(left_s())
            self._receivers = {}
        if Part.PIPELINES in parts:
            # At a stop senders have their answers by now: a request that hangs in a destination
            # without a queue must not use up the time of the others.
            idle_s = time.monotonic() + min(left_s(), _GRACE_S)
            for gate in self._gates.values():
                gate.close(max(idle_s - time.monotonic(), 0.0))
            if self._stages is not None:
                self._stages.stop(left_s(), drain=drain)
        if Part.TRACING in parts and self._tracing is not None:
            self._tracing.stop(left_s())
        if Part.HEALTH in parts and self._health_server is not None:
            self._health_server.stop()

    def _make_tracing(self, config: Config) -> Tracing | None:
        traces = config.service.traces
        if traces is None:
            return None
        # Here, so that the OpenTelemetry SDK is loaded only where it is used.
        from genops_enricher.tracing.around import Tracing
        from genops_enricher.tracing.own_spans import OwnSpans

        exporter = config.exporters[traces.exporter]
        return Tracing(OwnSpans(exporter, traces.ratio, self._kept.resource, self.telemetry))

    def _make_receivers(self, config: Config) -> dict[str, GrpcReceiver | HttpReceiver]:
        intakes = {signal: self._gates[signal] for signal in config.pipelines}
        receivers: dict[str, GrpcReceiver | HttpReceiver] = {}
        served = (config.receiver, config.http_receiver)
        allow_open_files(sum(receiver.max_connections for receiver in served if receiver))
        if config.receiver is not None:
            receivers["OTLP/gRPC"] = GrpcReceiver(
                config.receiver,
                intakes,
                self.telemetry,
                self._grpc_health,
                self._memory.admit,
                interceptors=[self._tracing.interceptor()] if self._tracing else [],
                share_port=self._supervised,
            )
        if config.http_receiver is not None:
            receivers["OTLP/HTTP"] = HttpReceiver(
                config.http_receiver,
                intakes,
                self.telemetry,
                self._memory.admit,
                self._tracing.around_http if self._tracing else None,
                share_port=self._supervised,
            )
        return receivers

    def _listening(self) -> str:
        ports = {name: receiver.port for name, receiver in self._receivers.items()}
        if self._health_server is not None:
            ports["health and metrics"] = self._health_server.port
        return ", ".join(f"{name} on port {port}" for name, port in ports.items())

    def _degraded(self) -> list[str]:
        stages = self._stages
        reasons = (stages.degraded() if stages else []) + self._memory.degraded()
        reasons += self._prices.degraded()
        return reasons + [reason for more in self.reasons for reason in more()]

    def _describe(self) -> None:
        """Record what runs, and warn of what should not be."""
        self._memory.set_limit(self._config.service.memory_limit_bytes)
        self._prices.use(self._catalog, self._config.enrichment.catalog.max_age_s)
        self.telemetry.set("genops_build_info", 1, version=version("genops-ai"))
        if api_implementation.Type() != "upb":
            _log.warning(
                "protobuf runs on its %r implementation, many times slower than upb; "
                "install a protobuf wheel for this platform",
                api_implementation.Type(),
            )
