"""The parts of a running service: made, started and stopped, in order.

    make    reads every file that the parts need, beside those that run; no port or queue is touched
    start   health pages, tracing, pipelines (`stages`), receivers: all of them, or none
    stop    receivers, pipelines (with what is queued), tracing, health pages: each one, also where
            another fails to

Between the receivers and the pipelines are gates: while the pipelines are replaced, senders are
told to try again. When parts are replaced, and by which configuration, `service` decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genops_enricher.config.model import Config
from genops_enricher.host.open_files import allow_open_files
from genops_enricher.life.changes import Part
from genops_enricher.life.health import Health, grpc_health
from genops_enricher.life.health_pages import HealthServer
from genops_enricher.life.kept import Kept
from genops_enricher.life.stages import Stages
from genops_enricher.pipeline import Signal
from genops_enricher.receive.gate import Gate
from genops_enricher.receive.grpc_server import GrpcReceiver
from genops_enricher.receive.http_server import HttpReceiver
from genops_enricher.telemetry import Telemetry
from genops_pricing import Catalog

if TYPE_CHECKING:  # loads the OpenTelemetry SDK
    from genops_enricher.tracing.around import Tracing

__all__ = ["GRACE_S", "Made", "Parts"]

# What requests and attempts under way get where there is no more time for them. A destination that
# hangs would take all of its timeout; what it was being sent stays in the queue and goes out again.
GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Made:
    """Parts of one configuration that are not started yet. Those not named in `parts` are None."""

    parts: frozenset[Part]
    health: HealthServer | None
    tracing: Tracing | None
    stages: Stages | None
    receivers: dict[str, GrpcReceiver | HttpReceiver]


class Parts:
    """What runs now. Used by one thread at a time."""

    def __init__(
        self,
        telemetry: Telemetry,
        health: Health,
        admit: Callable[[], None],
        *,
        supervised: bool,
    ) -> None:
        """Nothing runs yet.

        Args:
            telemetry: where all of them count.
            health: what the health pages show.
            admit: asked before each request; see `InFlight`.
            supervised: others listen on the same ports, and serve the health pages.
        """
        self.stages: Stages | None = None
        self.receivers: dict[str, GrpcReceiver | HttpReceiver] = {}
        self._telemetry = telemetry
        self._health = health
        self._admit = admit
        self._supervised = supervised
        self._grpc_health = grpc_health(health)
        self._kept = Kept(telemetry)
        self._gates = {signal: Gate() for signal in Signal}
        self._tracing: Tracing | None = None
        self._pages: HealthServer | None = None

    def listening(self) -> str:
        """On which ports, for the log."""
        ports = {name: receiver.port for name, receiver in self.receivers.items()}
        if self._pages is not None:
            ports["health and metrics"] = self._pages.port
        return ", ".join(f"{name} on port {port}" for name, port in ports.items())

    def make(self, parts: frozenset[Part], config: Config, catalog: Catalog) -> Made:
        """Make these parts.

        Raises:
            StartError: a TLS file, or the file of tokens, can't be used.
        """
        health = tracing = stages = None
        if Part.HEALTH in parts and not self._supervised:
            health = HealthServer(config.service.health_endpoint, self._health, self._telemetry)
        with ExitStack() as undo:
            around = self._tracing
            if Part.TRACING in parts:
                around = tracing = self._make_tracing(config)
                if tracing is not None:
                    undo.callback(tracing.stop, 0.0)
            receivers = self._make_receivers(config, around) if Part.RECEIVERS in parts else {}
            if Part.PIPELINES in parts:  # the last: it changes what is kept
                stages = Stages(config, catalog, self._kept, self._telemetry, around)
            undo.pop_all()
        return Made(parts, health, tracing, stages, receivers)

    def start(self, made: Made) -> None:
        """Start what was made, or none of it.

        Raises:
            StartError: a port is taken, or a queue folder can't be used.
        """
        with ExitStack() as started:
            if made.tracing is not None:
                started.callback(made.tracing.stop, GRACE_S)
            if made.health is not None:
                made.health.start()
                started.callback(made.health.stop)
            if made.stages is not None:
                made.stages.start()
                started.callback(made.stages.stop, GRACE_S, drain=False)
                for signal, intake in made.stages.intakes.items():
                    self._gates[signal].open(intake)
                started.callback(self._close_gates, GRACE_S)
            for receiver in made.receivers.values():
                started.callback(receiver.stop, GRACE_S)
                receiver.start()
            started.pop_all()
        self._pages = made.health or self._pages
        self._tracing = made.tracing or self._tracing
        self.stages = made.stages or self.stages
        self.receivers = made.receivers or self.receivers

    def stop(self, parts: frozenset[Part], timeout_s: float, *, drain: bool = False) -> None:
        """Stop these parts, as far as they run, within `timeout_s` seconds together.

        With `drain` what is queued is delivered first, as far as there is time for it.
        """
        deadline_s = time.monotonic() + timeout_s

        def left_s() -> float:
            return max(deadline_s - time.monotonic(), 0.0)

        with ExitStack() as stopping:  # the last one first
            if Part.HEALTH in parts and (pages := self._pages) is not None:
                stopping.callback(pages.stop)
                self._pages = None
            if Part.TRACING in parts and (tracing := self._tracing) is not None:
                stopping.callback(lambda: tracing.stop(left_s()))
                self._tracing = None
            if Part.PIPELINES in parts and (stages := self.stages) is not None:
                stopping.callback(self._forget_stages)  # until then they tell how they are
                stopping.callback(lambda: stages.stop(left_s(), drain=drain))
                # At a stop senders have their answers by now: a request that hangs in a destination
                # without a queue must not use up the time of the others.
                stopping.callback(lambda: self._close_gates(min(left_s(), GRACE_S)))
            if Part.RECEIVERS in parts:
                for receiver in reversed(self.receivers.values()):
                    stopping.callback(lambda each: each.stop(left_s()), receiver)
                self.receivers = {}

    def _forget_stages(self) -> None:
        self.stages = None

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
        return Tracing(OwnSpans(exporter, traces.ratio, self._kept.resource, self._telemetry))

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
                self._telemetry,
                self._grpc_health,
                self._admit,
                interceptors=[tracing.interceptor()] if tracing else [],
                share_port=self._supervised,
            )
        if config.http_receiver is not None:
            receivers["OTLP/HTTP"] = HttpReceiver(
                config.http_receiver,
                intakes,
                self._telemetry,
                self._admit,
                tracing.around_http if tracing else None,
                share_port=self._supervised,
            )
        return receivers
