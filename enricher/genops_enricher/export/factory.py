"""Choose the sender for a destination and join it to its queue."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from genops_enricher.config.model import ExporterConfig, Protocol
from genops_enricher.export.otlp import Sender
from genops_enricher.export.otlp_grpc import GrpcSender
from genops_enricher.export.otlp_http import HttpSender
from genops_enricher.export.worker import Exporter
from genops_enricher.pipeline import Signal
from genops_enricher.queue import Reader
from genops_enricher.telemetry import Telemetry

__all__ = ["build_exporter"]

_SENDERS: dict[Protocol, Callable[[ExporterConfig, Signal, str], Sender]] = {
    Protocol.GRPC: GrpcSender,
    Protocol.HTTP: HttpSender,
}


def build_exporter(
    config: ExporterConfig, signal: Signal, reader: Reader, telemetry: Telemetry
) -> Exporter:
    """An exporter that delivers one signal of `reader` to the destination, once it is started.

    Raises:
        StartError: the TLS settings can't be used.
    """
    user_agent = f"genops-enricher/{version('genops-ai')}"
    sender = _SENDERS[config.endpoint.protocol](config, signal, user_agent)
    return Exporter(
        config.id, signal, config.retry, config.queue.num_consumers, reader, sender, telemetry
    )
