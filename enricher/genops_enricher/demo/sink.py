"""A small OTLP backend on loopback: takes traces, metrics and logs over gRPC and HTTP, keeps spans.

In process: `with Sink() as sink`, with scripted failures for tests. As a process of its own,
`python -m genops_enricher.demo.sink` writes each span as one JSON line to stdout; the first line
says where it listens. Both transports answer as
https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response and #otlphttp-response ask.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace

from genops_enricher.demo.loopback import LOOPBACK, Handler, LoopbackServer
from genops_enricher.demo.process import announce, hold_stop_signals, wait_for_stop_signal
from genops_enricher.pipeline import Signal
from genops_enricher.spans import Span, span_to_json, spans_of

__all__ = ["Sink"]

# gRPC service, request and response of each signal.
SERVICES: dict[Signal, tuple[str, type[Message], type[Message]]] = {
    Signal.TRACES: (
        "opentelemetry.proto.collector.trace.v1.TraceService",
        trace.ExportTraceServiceRequest,
        trace.ExportTraceServiceResponse,
    ),
    Signal.METRICS: (
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
        metrics.ExportMetricsServiceRequest,
        metrics.ExportMetricsServiceResponse,
    ),
    Signal.LOGS: (
        "opentelemetry.proto.collector.logs.v1.LogsService",
        logs.ExportLogsServiceRequest,
        logs.ExportLogsServiceResponse,
    ),
}
SIGNAL_OF_PATH = {f"/v1/{signal}": signal for signal in Signal}
PROTOBUF = "application/x-protobuf"


class UnavailableError(Exception):
    """A scripted failure."""


class Sink:
    """An OTLP backend in this process. It serves from the constructor until `close`.

    To play a backend that is down, close it and open another on the same `grpc_port`.
    """

    def __init__(
        self,
        *,
        grpc_port: int = 0,
        http_port: int = 0,
        on_span: Callable[[Span], None] | None = None,
    ) -> None:
        """Start on 127.0.0.1; port 0 takes any free one. `on_span` is called span by span.

        Raises:
            OSError: a port is taken.
        """
        self._on_span = on_span
        self._changed = threading.Condition()
        self._spans: list[Span] = []
        self._items: Counter[Signal] = Counter()
        self._failures = 0
        self._http = LoopbackServer(http_port, partial(_HttpHandler, self))
        self._grpc = grpc.server(
            ThreadPoolExecutor(max_workers=4, thread_name_prefix="sink"),
            # Without SO_REUSEPORT a port that is taken is an error, not shared traffic.
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)],
        )
        for signal, (service, request, response) in SERVICES.items():
            export = grpc.unary_unary_rpc_method_handler(
                partial(self._export, signal, response),
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )
            self._grpc.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": export}),)
            )
        try:
            self.grpc_port = self._grpc.add_insecure_port(f"{LOOPBACK}:{grpc_port}")
        except RuntimeError as error:
            self._http.close()
            raise OSError(f"port {grpc_port} is taken; choose another") from error
        self._grpc.start()
        self.http_port: int = self._http.server_address[1]

    @property
    def grpc_endpoint(self) -> str:
        """`host:port` of the gRPC services, without TLS."""
        return f"{LOOPBACK}:{self.grpc_port}"

    @property
    def http_endpoint(self) -> str:
        """The base URL of OTLP/HTTP, under which /v1/traces, /v1/metrics and /v1/logs are."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans so far, in the order of their arrival, repeated ones too."""
        with self._changed:
            return tuple(self._spans)

    def items(self, signal: Signal) -> int:
        """How many spans, metric data points or log records have arrived."""
        with self._changed:
            return self._items[signal]

    def fail_next(self, requests: int) -> None:
        """Refuse that many requests with UNAVAILABLE or 503, then accept again."""
        with self._changed:
            self._failures = requests

    def wait_for_spans(self, count: int, *, timeout_s: float = 60.0) -> tuple[Span, ...]:
        """Wait until at least `count` spans have arrived, and return all.

        Raises:
            TimeoutError: fewer arrived in time; the message says how many.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._spans) >= count, timeout_s):
                got = len(self._spans)
                raise TimeoutError(f"{got} of {count} spans arrived within {timeout_s:g} s")
            return tuple(self._spans)

    def accept(self, signal: Signal, request: Any) -> None:
        """Take one decoded export request.

        Raises:
            UnavailableError: `fail_next` asked for it; nothing was taken.
        """
        with self._changed:
            if self._failures > 0:
                self._failures -= 1
                raise UnavailableError
            if signal is Signal.TRACES:
                arrived = list(spans_of(request))
                self._spans.extend(arrived)
                self._items[signal] += len(arrived)
                if self._on_span is not None:
                    for span in arrived:
                        self._on_span(span)
            else:
                self._items[signal] += sum(1 for _ in _ITEMS[signal](request))
            self._changed.notify_all()

    def close(self) -> None:
        """Stop both servers and wait for them. Safe to call twice."""
        self._grpc.stop(grace=None).wait()
        self._http.close()

    def _export(
        self,
        signal: Signal,
        response: type[Message],
        request: Message,
        context: grpc.ServicerContext,
    ) -> Message:
        try:
            self.accept(signal, request)
        except UnavailableError:
            context.abort(grpc.StatusCode.UNAVAILABLE, "scripted failure")
        return response()

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _HttpHandler(Handler):
    def __init__(self, sink: Sink, *args: Any) -> None:
        self._sink = sink
        super().__init__(*args)

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it by this name
        body = self.read_body()
        signal = SIGNAL_OF_PATH.get(self.path)
        if signal is None:
            self.answer(404, b"OTLP is at /v1/traces, /v1/metrics and /v1/logs", "text/plain")
            return
        if self.headers.get_content_type() != PROTOBUF:
            self.answer(415, f"only {PROTOBUF} is understood".encode(), "text/plain")
            return
        _, request, response = SERVICES[signal]
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self._sink.accept(signal, request.FromString(body))
        except (DecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.answer(400, str(error).encode(), "text/plain")
        except UnavailableError:
            self.answer(503, b"scripted failure", "text/plain")
        else:
            self.answer(200, response().SerializeToString(), PROTOBUF)


def _data_points(request: metrics.ExportMetricsServiceRequest) -> Iterator[Message]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is not None:
                    yield from getattr(metric, kind).data_points


def _log_records(request: logs.ExportLogsServiceRequest) -> Iterator[Message]:
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            yield from scope.log_records


_ITEMS: dict[Signal, Callable[[Any], Iterator[Message]]] = {
    Signal.METRICS: _data_points,
    Signal.LOGS: _log_records,
}


def main() -> int:
    """Run the sink until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m genops_enricher.demo.sink",
        description="An OTLP backend on 127.0.0.1 that writes each span as one JSON line.",
    )
    parser.add_argument("--grpc-port", type=int, default=0, help="default: any free port")
    parser.add_argument("--http-port", type=int, default=0, help="default: any free port")
    arguments = parser.parse_args()

    # Nothing may be written before the announcement, whatever arrives first.
    announced = threading.Event()

    def write(span: Span) -> None:
        announced.wait()
        sys.stdout.write(span_to_json(span) + "\n")
        sys.stdout.flush()

    hold_stop_signals()
    with Sink(grpc_port=arguments.grpc_port, http_port=arguments.http_port, on_span=write) as sink:
        announce({"grpc": sink.grpc_endpoint, "http": sink.http_endpoint})
        announced.set()
        wait_for_stop_signal()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
