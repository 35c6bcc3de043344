"""Make the SDK's exporters for a destination.

Each function loads what it needs of the SDK when it is called. A connection is opened, and gRPC
started, by what the makers return, not by the makers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from genops.export.destination import ExportConfig

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = [
    "check_environment",
    "metric_exporter_like",
    "metric_exporter_maker",
    "span_exporter_maker",
]

_FILES: Final = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")


class _NoHeaders(logging.Filter):
    """Keeps out of the log what the SDK quotes of OTEL_EXPORTER_OTLP_HEADERS: there are keys in it.

    What it leaves out is a problem that `init` reports.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Header format invalid")


_no_headers: Final = _NoHeaders()


def _keep_headers_out_of_the_log() -> None:
    logging.getLogger("opentelemetry.util.re").addFilter(_no_headers)  # once, however often


def span_exporter_maker(
    export: ExportConfig, timeout_s: float | None = None
) -> Callable[[], SpanExporter]:
    """What makes an OTLP exporter of spans; `timeout_s` bounds one export, in seconds.

    Raises:
        ValueError: a variable of the environment that the exporter reads is wrong.
    """
    check_environment("TRACES")
    _keep_headers_out_of_the_log()
    headers = _headers(export, "TRACES")
    if export.protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as http

        return lambda: http.OTLPSpanExporter(export.endpoint, headers=headers, timeout=timeout_s)
    from genops.export.per_process import before_grpc_is_loaded, before_grpc_is_used

    before_grpc_is_loaded()
    from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc

    def make() -> SpanExporter:
        before_grpc_is_used()
        return grpc.OTLPSpanExporter(
            export.endpoint, export.insecure, headers=headers, timeout=timeout_s
        )

    return make


def metric_exporter_maker(export: ExportConfig) -> Callable[[], MetricExporter]:
    """What makes an exporter of metrics, OTLP or console.

    Raises:
        ValueError: a variable of the environment that the exporter reads is wrong.
    """
    if export.kind == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return ConsoleMetricExporter
    check_environment("METRICS")
    _keep_headers_out_of_the_log()
    headers = _headers(export, "METRICS")
    if export.protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http import metric_exporter as http

        return lambda: http.OTLPMetricExporter(export.endpoint, headers=headers)
    from genops.export.per_process import before_grpc_is_loaded, before_grpc_is_used

    before_grpc_is_loaded()
    from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc

    def make() -> MetricExporter:
        before_grpc_is_used()
        return grpc.OTLPMetricExporter(export.endpoint, export.insecure, headers=headers)

    return make


def metric_exporter_like(export: ExportConfig) -> MetricExporter:
    """An exporter with the temporality and aggregation that the environment asks for."""
    if export.kind == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return ConsoleMetricExporter()
    _keep_headers_out_of_the_log()
    # For gRPC too: both read the same variables, and this one starts nothing.
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(export.endpoint or None)


def _headers(export: ExportConfig, signal: str) -> dict[str, str] | None:
    """Those of `init` beside the environment's; None: the exporter reads the environment's.

    The SDK's exporter over HTTP joins the two itself, its exporter over gRPC does not.
    """
    if not export.headers:
        return None
    from opentelemetry.util.re import parse_env_headers

    stated = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_HEADERS")
    shared = os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    return {**parse_env_headers(stated or shared, liberal=True), **export.headers}


def check_environment(signal: str) -> None:
    """Find what the exporters stumble over later, each in its own way.

    Raises:
        ValueError: a variable is wrong; the text says which.
    """
    for prefix in ("OTEL_EXPORTER_OTLP_", f"OTEL_EXPORTER_OTLP_{signal}_"):
        timeout = os.environ.get(prefix + "TIMEOUT")
        if timeout is not None:
            try:
                float(timeout)
            except ValueError:
                raise ValueError(f"{prefix}TIMEOUT={timeout!r} is no number of seconds") from None
        for kind in _FILES:
            path = os.environ.get(prefix + kind)
            if path and not Path(path).is_file():
                raise ValueError(f"{prefix}{kind}={path!r} is no file")
