"""Choose the sender for a destination and join it to its queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from genops_enricher.config.model import ExporterConfig, Protocol
from genops_enricher.export.attempt import AttemptTracer
from genops_enricher.export.direct import DirectExporter
from genops_enricher.export.otlp import Sender
from genops_enricher.export.otlp_grpc import GrpcSender
from genops_enricher.export.otlp_http import HttpSender
from genops_enricher.export.worker import Exporter
from genops_enricher.pipeline import Signal
from genops_enricher.queue import DeadLetters, Reader
from genops_enricher.telemetry import Telemetry

__all__ = ["build_direct_exporter", "build_exporter", "build_sender"]

_SENDERS: dict[Protocol, Callable[[ExporterConfig, Signal, str, Telemetry | None], Sender]] = {
    Protocol.GRPC: GrpcSender,
    Protocol.HTTP: HttpSender,
}


# As many requests at a time as both receivers handle by default. More are possible: they take a
# connection of their own.
_DIRECT_CONNECTIONS = 32


def build_sender(
    config: ExporterConfig, signal: Signal, telemetry: Telemetry | None = None
) -> Sender:
    """What sends one signal to the destination. `telemetry` counts changes of its TLS files.

    Raises:
        StartError: the TLS settings can't be used.
    """
    user_agent = f"genops-enricher/{version('genops-ai')}"
    return _SENDERS[config.endpoint.protocol](config, signal, user_agent, telemetry)


def build_exporter(
    config: ExporterConfig,
    signal: Signal,
    reader: Reader,
    data_dir: Path,
    telemetry: Telemetry,
    tracer: AttemptTracer | None = None,
    sender: Sender | None = None,
) -> Exporter:
    """An exporter that delivers one signal of `reader` to the destination, once it is started.

    What the destination can never accept goes to the dead letters in `data_dir`. `sender` is one
    that was built already.

    Raises:
        StartError: the TLS settings can't be used.
    """
    dead_letters = DeadLetters(data_dir, signal, config.id, config.dead_letter_size_bytes)
    if sender is None:
        sender = build_sender(config, signal, telemetry)
    return Exporter(config, signal, reader, sender, dead_letters, telemetry, tracer)


def build_direct_exporter(
    config: ExporterConfig,
    signal: Signal,
    telemetry: Telemetry,
    tracer: AttemptTracer | None = None,
) -> DirectExporter:
    """An exporter that delivers one signal while the sender waits, once it is started.

    Raises:
        StartError: the TLS settings can't be used.
    """
    queue = replace(config.queue, num_consumers=_DIRECT_CONNECTIONS)
    sender = build_sender(replace(config, queue=queue), signal, telemetry)
    return DirectExporter(config, signal, sender, telemetry, tracer)
