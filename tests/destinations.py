"""OTLP destinations on loopback that answer as told and remember what they were sent."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from genops_enricher.config.model import (
    BatchConfig,
    Endpoint,
    ExporterConfig,
    Protocol,
    QueueConfig,
    RetryConfig,
)
from genops_enricher.pipeline import Signal

QUICK = RetryConfig(initial_interval_s=0.002, max_interval_s=0.01)

GRPC_SERVICES = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
}


@dataclass(frozen=True)
class Received:
    """A request as it arrived. `payload` is uncompressed; `path` is the method for gRPC."""

    path: str
    headers: Mapping[str, str]
    payload: bytes


@dataclass
class Destination:
    """`port` is where it listens; `received` grows as requests come in."""

    port: int = 0
    received: list[Received] = field(default_factory=list)

    @property
    def payloads(self) -> list[bytes]:
        return [request.payload for request in self.received]


@dataclass(frozen=True)
class GrpcAnswer:
    code: grpc.StatusCode = grpc.StatusCode.OK
    body: bytes = b""
    details: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True)
class HttpAnswer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


# What to answer to the n-th request, counted from 0.
GrpcScript = Callable[[int, Received], GrpcAnswer]
HttpScript = Callable[[int, Received], HttpAnswer]


def grpc_ok(_number: int, _request: Received) -> GrpcAnswer:
    return GrpcAnswer()


def http_ok(_number: int, _request: Received) -> HttpAnswer:
    return HttpAnswer(headers={"Content-Type": "application/x-protobuf"})


@contextmanager
def grpc_destination(
    script: GrpcScript = grpc_ok,
    *,
    credentials: grpc.ServerCredentials | None = None,
    port: int = 0,
    receive_max: int | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Destination]:
    """`receive_max` is the largest message in bytes; grpc-core takes 4 MiB if nothing is said."""
    destination = Destination()
    lock = threading.Lock()

    def handler(path: str) -> grpc.RpcMethodHandler[bytes, bytes]:
        def export(payload: bytes, context: grpc.ServicerContext) -> bytes:
            headers = {str(key): str(value) for key, value in context.invocation_metadata()}
            request = Received(path, headers, payload)
            with lock:
                number = len(destination.received)
                destination.received.append(request)
            answer = script(number, request)
            if answer.retry_after_s is not None:
                status = status_pb2.Status(code=answer.code.value[0], message=answer.details)
                info = error_details_pb2.RetryInfo(
                    retry_delay=Duration(seconds=answer.retry_after_s)
                )
                status.details.add().Pack(info)
                context.abort_with_status(rpc_status.to_status(status))
            if answer.code is not grpc.StatusCode.OK:
                context.abort(answer.code, answer.details)
            return answer.body

        return grpc.unary_unary_rpc_method_handler(export)

    options = [("grpc.so_reuseport", 0)]
    if receive_max is not None:
        options.append(("grpc.max_receive_message_length", receive_max))
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool, options=options)
        server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(
                    service, {"Export": handler(f"/{service}/Export")}
                )
                for service in GRPC_SERVICES.values()
            )
        )
        address = f"{host}:{port}"
        if credentials is None:
            destination.port = server.add_insecure_port(address)
        else:
            destination.port = server.add_secure_port(address, credentials)
        server.start()
        try:
            yield destination
        finally:
            server.stop(None).wait(60)


@contextmanager
def http_destination(
    script: HttpScript = http_ok,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[Destination]:
    destination = Destination()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = Received(self.path, dict(self.headers.items()), body)
            with lock:
                number = len(destination.received)
                destination.received.append(request)
            answer = script(number, request)
            if answer.status == 0:  # hang up without an answer
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if not {"Content-Length", "Transfer-Encoding"} & answer.headers.keys():
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, *args: object) -> None:
            pass  # a client that goes away in the middle of an answer is part of the tests

    with Server((host, port), Handler) as server:
        destination.port = server.server_address[1]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield destination
        finally:
            server.shutdown()
            thread.join(60)


def grpc_exporter(port: int, **settings: object) -> ExporterConfig:
    endpoint = Endpoint(Protocol.GRPC, f"127.0.0.1:{port}", secure=False)
    return _exporter("otlp_grpc/a", endpoint, settings)


def http_exporter(port: int, **settings: object) -> ExporterConfig:
    base = f"http://127.0.0.1:{port}"
    urls = {signal: f"{base}/v1/{signal}" for signal in Signal}
    return _exporter(
        "otlp_http/b", Endpoint(Protocol.HTTP, base, secure=False, urls=urls), settings
    )


def _exporter(name: str, endpoint: Endpoint, settings: Mapping[str, object]) -> ExporterConfig:
    """Joins no requests, so that each arrives by itself."""
    config = ExporterConfig(
        name,
        endpoint,
        retry=QUICK,
        queue=QueueConfig(num_consumers=2),
        batch=BatchConfig(min_size_bytes=0),
        timeout_s=60,
    )
    return replace(config, **settings)  # type: ignore[arg-type]
