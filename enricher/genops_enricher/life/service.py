"""The life of the service: starts the parts in order, replaces them, and stops them in order.

    start   data folder, health pages, pipelines (`stages`), receivers; then: ready
    apply   what a new configuration changes is made, and takes the place of what runs; if it can't,
            that runs again; the rest goes on
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
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from google.protobuf.internal import api_implementation

from genops_enricher.config.model import Config
from genops_enricher.errors import StartError
from genops_enricher.host.data_dir import DataDir
from genops_enricher.host.memory import MemoryGuard
from genops_enricher.host.open_files import allow_open_files
from genops_enricher.life.changes import Part, changed_parts
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


@dataclass(frozen=True, slots=True)
class _Made:
    """Parts that are made and not started: their files are read, no port or queue is touched."""

    parts: frozenset[Part]
    health: HealthServer | None
    tracing: Tracing | None
    stages: Stages | None
    receivers: dict[str, GrpcReceiver | HttpReceiver]


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
            self._start(self._make(frozenset(Part), self._config, self._catalog))
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
            StartError: a part can't be made or started with it; those of before go on.
        """
        with self._lock:
            if self._stopping.is_set():
                return frozenset()
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
        with self._lock, ExitStack() as last:
            last.callback(self._data_dir.close)
            self._stop(frozenset(Part), max(deadline_s - time.monotonic(), 0), drain=True)
        _log.info("stopped")

    def _replace(self, parts: frozenset[Part], config: Config, catalog: Catalog) -> None:
        made = self._make(parts, config, catalog)
        before = self._stages
        self.health.reloading()
        try:
            try:
                receivers = parts & {Part.RECEIVERS}
                self._stop(receivers, _GRACE_S, drain=False)
                self._stop(parts - receivers, _GRACE_S, drain=False)
                # Parts and their threads hold each other: they would stay until Python happens to
                # look. It takes some tens of milliseconds, and senders wait anyway.
                gc.collect()
                self._start(made)
            except Exception:
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
                self._start(self._make(parts, self._config, self._catalog))
            except Exception as error:  # noqa: BLE001 - whatever it was, nothing runs without them
                foreseen = isinstance(error, StartError)
                _log.error(
                    "what ran before the reload can't start: %s; trying again",
                    error,
                    exc_info=not foreseen,
                )
                self._stopping.wait(_AGAIN_S)
            else:
                return

    def _make(self, parts: frozenset[Part], config: Config, catalog: Catalog) -> _Made:
        """Make these parts, beside those that run: every file that they need is read here.

        Raises:
            StartError: a TLS file, or the file of tokens, can't be used.
        """
        with ExitStack() as undo:
            tracing = self._tracing
            if Part.TRACING in parts:
                tracing = self._make_tracing(config)
                if tracing is not None:
                    undo.callback(tracing.stop, 0.0)
            receivers = self._make_receivers(config, tracing) if Part.RECEIVERS in parts else {}
            stages = None
            if Part.PIPELINES in parts:  # the last: it changes what is kept
                stages = Stages(config, catalog, self._kept, self.telemetry, tracing)
            undo.pop_all()
        health = None
        if Part.HEALTH in parts and not self._supervised:
            health = HealthServer(config.service.health_endpoint, self.health, self.telemetry)
        return _Made(parts, health, tracing, stages, receivers)

    def _start(self, made: _Made) -> None:
        """Start these parts, or none of them."""
        with ExitStack() as started:
            if made.health is not None:
                made.health.start()
                started.callback(made.health.stop)
            if Part.TRACING in made.parts and made.tracing is not None:
                started.callback(made.tracing.stop, _GRACE_S)
            if made.stages is not None:
                made.stages.start()
                started.callback(made.stages.stop, _GRACE_S, drain=False)
                for signal, intake in made.stages.intakes.items():
                    self._gates[signal].open(intake)
                started.callback(self._close_gates, _GRACE_S)
            for receiver in made.receivers.values():
                started.callback(receiver.stop, _GRACE_S)
                receiver.start()
            started.pop_all()
        if made.health is not None:
            self._health_server = made.health
        if Part.TRACING in made.parts:
            self._tracing = made.tracing
        if made.stages is not None:
            self._stages = made.stages
        if Part.RECEIVERS in made.parts:
            self._receivers = made.receivers

    def _stop(self, parts: frozenset[Part], timeout_s: float, *, drain: bool) -> None:
        """Stop these parts, as far as they run: each one, also where another fails to."""
        deadline_s = time.monotonic() + timeout_s

        def left_s() -> float:
            return max(deadline_s - time.monotonic(), 0.0)

        with ExitStack() as stopping:  # the last one first
            if Part.HEALTH in parts and self._health_server is not None:
                stopping.callback(self._health_server.stop)
                self._health_server = None
            if Part.TRACING in parts and (tracing := self._tracing) is not None:
                stopping.callback(lambda: tracing.stop(left_s()))
                self._tracing = None
            if Part.PIPELINES in parts and (stages := self._stages) is not None:
                stopping.callback(lambda: stages.stop(left_s(), drain=drain))
                # At a stop senders have their answers by now: a request that hangs in a destination
                # without a queue must not use up the time of the others.
                stopping.callback(lambda: self._close_gates(min(left_s(), _GRACE_S)))
                self._stages = None
            if Part.RECEIVERS in parts:
                for receiver in reversed(self._receivers.values()):
                    stopping.callback(lambda each: each.stop(left_s()), receiver)
                self._receivers = {}

    def _close_gates(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        for gate in self._gates.values():
            gate.close(max(deadline_s - time.monotonic(), 0.0))

    def _make_tracing(self, config: Config) -> Tracing | None:
        traces = config.service.traces
        if traces is None:
            return None
        # Here, so that the OpenTelemetry SDK is loaded only where it is used.
        from genops_enricher.tracing.around import Tracing
        from genops_enricher.tracing.own_spans import OwnSpans

        exporter = config.exporters[traces.exporter]
        return Tracing(OwnSpans(exporter, traces.ratio, self._kept.resource, self.telemetry))

    def _make_receivers(
        self, config: Config, tracing: Tracing | None
    ) -> dict[str, GrpcReceiver | HttpReceiver]:
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
                interceptors=[tracing.interceptor()] if tracing else [],
                share_port=self._supervised,
            )
        if config.http_receiver is not None:
            receivers["OTLP/HTTP"] = HttpReceiver(
                config.http_receiver,
                intakes,
                self.telemetry,
                self._memory.admit,
                tracing.around_http if tracing else None,
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
