"""A real OTLP receiver on loopback, gRPC or HTTP, that keeps what it gets."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otlp import plain_attributes, spans_of

PROTOCOLS = ("grpc", "http")


@dataclass(slots=True)
class Receiver:
    endpoint: str = ""
    traces: queue.Queue[tuple[Mapping[str, str], bytes]] = field(default_factory=queue.Queue)
    metrics: queue.Queue[tuple[Mapping[str, str], bytes]] = field(default_factory=queue.Queue)

    def spans(self) -> list[Span]:
        """The spans that have come."""
        return [span for payload in _drain(self.traces) for span in spans_of(payload)]

    def sums(self) -> list[tuple[object, str, float]]:
        """The metrics that have come, in order: service, name, sum of the points."""
        return [
            (plain_attributes(resource.resource)["service.name"], metric.name, _total(metric))  # type: ignore[arg-type]
            for payload in _drain(self.metrics)
            for resource in ExportMetricsServiceRequest.FromString(payload).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]


def _total(metric: Metric) -> float:
    if metric.HasField("sum"):
        return sum(point.as_int or point.as_double for point in metric.sum.data_points)
    return sum(point.sum for point in metric.histogram.data_points)


def _drain(received: queue.Queue[tuple[Mapping[str, str], bytes]]) -> Iterator[bytes]:
    while not received.empty():
        yield received.get_nowait()[1]


@contextmanager
def receiving(protocol: str) -> Iterator[Receiver]:
    """A receiver for one of PROTOCOLS; its endpoint is one that the client reads as such."""
    with _over_grpc() if protocol == "grpc" else _over_http() as receiver:
        yield receiver


@contextmanager
def _over_grpc() -> Iterator[Receiver]:
    receiver = Receiver()

    class Traces(TraceServiceServicer):
        def Export(  # noqa: N802 - the name of the RPC
            self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
        ) -> ExportTraceServiceResponse:
            metadata = {str(name): str(value) for name, value in context.invocation_metadata()}
            receiver.traces.put((metadata, request.SerializeToString()))
            return ExportTraceServiceResponse()

    class Metrics(MetricsServiceServicer):
        def Export(  # noqa: N802 - the name of the RPC
            self, request: ExportMetricsServiceRequest, context: grpc.ServicerContext
        ) -> ExportMetricsServiceResponse:
            metadata = {str(name): str(value) for name, value in context.invocation_metadata()}
            receiver.metrics.put((metadata, request.SerializeToString()))
            return ExportMetricsServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(Traces(), server)  # type: ignore[no-untyped-call]
    add_MetricsServiceServicer_to_server(Metrics(), server)  # type: ignore[no-untyped-call]
    receiver.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None).wait()


@contextmanager
def _over_http() -> Iterator[Receiver]:
    receiver = Receiver()
    by_path = {"/v1/traces": receiver.traces, "/v1/metrics": receiver.metrics}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            by_path[self.path].put((headers, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.endpoint = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield receiver
        server.shutdown()
