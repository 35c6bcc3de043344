"""The exporters of the OpenTelemetry SDK are understood, in every way they can be set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from genops_enricher.pipeline import Signal
from otlp_duties.system import System

GRPC: Mapping[Signal, Any] = {
    Signal.TRACES: GrpcSpans, Signal.METRICS: GrpcMetrics, Signal.LOGS: GrpcLogs
}  # fmt: skip
HTTP: Mapping[Signal, Any] = {
    Signal.TRACES: HttpSpans, Signal.METRICS: HttpMetrics, Signal.LOGS: HttpLogs
}  # fmt: skip


def emit(signal: Signal, exporter: Any, name: str) -> None:
    match signal:
        case Signal.TRACES:
            tracers = TracerProvider(shutdown_on_exit=False)
            tracers.add_span_processor(SimpleSpanProcessor(exporter))
            tracers.get_tracer("sdk").start_span(name).end()
            tracers.shutdown()
        case Signal.METRICS:
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)
            meters = MeterProvider([reader], shutdown_on_exit=False)
            meters.get_meter("sdk").create_counter(name).add(1)
            meters.shutdown()
        case Signal.LOGS:
            loggers = LoggerProvider(shutdown_on_exit=False)
            loggers.add_log_record_processor(SimpleLogRecordProcessor(exporter))
            loggers.get_logger("sdk").emit(body=name)
            loggers.shutdown()


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
@pytest.mark.parametrize("signal", Signal)
def test_the_grpc_exporters_of_the_sdk_are_understood(
    running_system: System, signal: Signal, compression: grpc.Compression
) -> None:
    name = f"sdk-grpc-{signal}-{compression.name}".lower()  # as instruments are named
    exporter = GRPC[signal](
        endpoint=running_system.grpc, insecure=True, compression=compression, timeout=60
    )
    emit(signal, exporter, name)

    assert running_system.arrived(name)


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("signal", Signal)
def test_the_http_exporters_of_the_sdk_are_understood(
    running_system: System, signal: Signal, compression: Compression
) -> None:
    name = f"sdk-http-{signal}-{compression.name}".lower()
    exporter = HTTP[signal](
        endpoint=f"http://{running_system.http}/v1/{signal}", compression=compression, timeout=60
    )
    if compression is Compression.Deflate:  # the protocol has none but gzip
        with pytest.raises(TimeoutError):
            emit(signal, exporter, name)
            running_system.arrived(name, timeout_s=0.5)
    else:
        emit(signal, exporter, name)
        assert running_system.arrived(name)
